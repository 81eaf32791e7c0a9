"""One typed function for each command: a config in, a result out."""
