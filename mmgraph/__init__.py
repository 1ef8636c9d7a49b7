"""Masked pretraining on graphs."""
