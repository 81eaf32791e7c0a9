"""The terminal: a command is a file with its options, one call of a workflow, and what is printed of its result."""
