"""Text from the web as a data source."""
