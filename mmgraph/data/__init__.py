"""Labelled graphs from the standard places."""
