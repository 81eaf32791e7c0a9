"""Data set discovery: layouts of splits as labelling tools write them."""
