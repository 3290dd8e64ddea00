"""Sizes to start a project from: nano, tiny, small, base; and the preset pipeline."""
