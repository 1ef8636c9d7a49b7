"""Masked pretraining on proteins and molecules; no system is here yet."""
