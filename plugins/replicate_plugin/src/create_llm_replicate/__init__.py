"""Replicate: a model as a Cog package, and the service that runs it."""
