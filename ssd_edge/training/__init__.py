"""Targets, loss and the loop that turns samples into a checkpoint."""
