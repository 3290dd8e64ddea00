"""Training objectives for create-llm."""
