"""Durable writes and the checkpoint store."""
