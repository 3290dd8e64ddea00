"""The model bundle, generation and evaluation."""
