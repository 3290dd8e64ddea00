"""Models of create-llm, run by llama.cpp."""
