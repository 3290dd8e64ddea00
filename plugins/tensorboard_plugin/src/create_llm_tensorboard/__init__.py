"""Event files of a run, for TensorBoard."""
