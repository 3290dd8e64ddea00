"""create-llm's models in Simon Willison's llm."""
