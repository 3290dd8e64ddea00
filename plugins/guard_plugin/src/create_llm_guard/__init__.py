"""A guard of training runs: rules over their events, remedies, a score at the end."""
