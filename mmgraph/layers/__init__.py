"""Layers on nodes and edges."""
