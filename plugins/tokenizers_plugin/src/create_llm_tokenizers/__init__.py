"""Byte-level tokenizers: BPE trained on your text, and plain bytes."""
