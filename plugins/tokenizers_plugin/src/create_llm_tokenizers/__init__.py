"""Byte-level tokenizers: BPE, WordPiece and unigram learnt from your text, and plain bytes."""
