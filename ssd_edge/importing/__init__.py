"""Weights and graphs of other projects, as ours."""
