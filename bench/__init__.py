"""Benchmarks: speed and memory as ratios within one run. ``python -m bench`` runs them all."""
