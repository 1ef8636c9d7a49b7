"""Metrics and probes on frozen features."""
