"""Progress of a run in the terminal: a live bar, or plain lines where there is none."""
