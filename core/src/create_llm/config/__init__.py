"""One schema for llm.toml, its layers with provenance, and what each key means."""
