"""Text files and files of rows as a data source."""
