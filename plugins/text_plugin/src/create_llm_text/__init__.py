"""Plain-text files as a data source."""
