"""Small poems for create-llm."""
