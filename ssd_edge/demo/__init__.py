"""The whole chain on a drawn data set."""
