"""Signals at random moments over the long commands: ``python -m tests.torture --help``."""
