"""An OpenAI-compatible server for models of create-llm."""
