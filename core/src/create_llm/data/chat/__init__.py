"""Conversations: chat templates, how they are written out and what of them is trained on."""
