"""Signals at random moments, disks that fill up, credentials, system calls: ``python -m tests.torture --help``."""
