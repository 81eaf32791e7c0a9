"""Sinks: outputs of a run."""
