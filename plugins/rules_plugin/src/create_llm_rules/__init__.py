"""Questions and answers made from text by rules."""
