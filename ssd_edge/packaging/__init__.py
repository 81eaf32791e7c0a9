"""Packages: an exported model with all that another host needs to run it."""
