"""Hugging Face: publishing models, importing models, reading datasets."""
