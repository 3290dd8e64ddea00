"""A live page about the runs of a project, in the browser."""
