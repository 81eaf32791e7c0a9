"""What is wrong with labelled pictures, all of it at once."""
