"""Help for plugin authors: a new package, its contract tests, a look at how plugins load."""
