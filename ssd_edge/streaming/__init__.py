"""Frames from anywhere, through a detector, to anywhere. Never imports torch."""
