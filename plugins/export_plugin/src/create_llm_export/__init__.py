"""Models of create-llm in the forms that other programs read."""
