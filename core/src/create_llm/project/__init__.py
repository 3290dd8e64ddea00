"""What lies where in a project folder, and the templates a project starts from."""
