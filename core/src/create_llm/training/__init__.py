"""The training loop, its step, and the callbacks that watch it."""
