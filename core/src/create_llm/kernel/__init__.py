"""Finding the parts: kinds, the registry of parts, and the discovery of plugins."""
