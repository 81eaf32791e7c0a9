"""Signals and full disks at random moments of the long commands: ``python -m tests.torture --help``."""
