"""Labelled images: read, written, drawn, augmented. Never imports torch."""
