"""Labelled images: read, written, checked, counted, augmented. Never imports torch."""
