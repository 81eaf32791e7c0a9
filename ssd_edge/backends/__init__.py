"""Runtimes behind one protocol (``base.py``), and the detector on top of it. PyTorch is not one of them."""
