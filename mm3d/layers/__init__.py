"""Layers that turn points into tokens."""
