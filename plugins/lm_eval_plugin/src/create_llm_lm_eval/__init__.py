"""EleutherAI's lm-evaluation-harness, with create-llm's models."""
