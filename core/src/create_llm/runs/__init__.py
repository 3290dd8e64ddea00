"""A run on disk: its manifest, its events, its control requests."""
