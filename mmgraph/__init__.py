"""Masked pretraining on graphs; no system is here yet."""
