"""Runtimes behind one protocol, one per file, imported on use. Never imports torch."""
