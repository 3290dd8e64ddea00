"""Short stories in English and Spanish, written by a small grammar: text to begin with, offline."""
