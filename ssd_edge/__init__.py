"""ssd-edge: a Single Shot MultiBox Detector from labelled images to boxes on a live camera."""

__version__ = "0.1.0"
