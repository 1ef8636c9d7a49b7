"""Data sets and layouts."""
