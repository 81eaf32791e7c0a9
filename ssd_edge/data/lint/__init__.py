"""Problem of labelled images, all of it at once."""
