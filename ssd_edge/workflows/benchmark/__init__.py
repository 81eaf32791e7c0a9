"""``ssd.bench``: contestants, the run, the result and its pages."""
