"""Backbones of the presets."""
