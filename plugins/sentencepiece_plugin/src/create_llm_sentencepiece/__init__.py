"""SentencePiece tokenizers: a .model file, and a tokenizer.json of the same ids."""
