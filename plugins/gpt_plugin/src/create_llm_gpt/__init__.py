"""A decoder-only transformer in the Qwen3, Llama and GPT-2 forms."""
