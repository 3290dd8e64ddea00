"""Synthetic text: what synthesizers are asked, and how their answers become rows in data/raw."""
