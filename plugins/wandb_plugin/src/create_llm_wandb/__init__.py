"""Metrics of a run, for Weights & Biases."""
