"""Tracking: objects that keep an id from frame to frame."""
