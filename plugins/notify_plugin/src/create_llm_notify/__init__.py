"""Desktop notifications of a run, and its progress in the terminal's title and taskbar."""
