"""What is wrong with labelled images, all of it at once."""
