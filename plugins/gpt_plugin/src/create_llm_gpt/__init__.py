"""A decoder-only transformer in the Llama and Qwen3 forms."""
