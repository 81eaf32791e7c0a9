"""Checks of this machine, and the commands that install what is missing. Never imports torch."""
