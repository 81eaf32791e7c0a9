"""Backbones: one network a file, most of them a chain of stages (``staged.py``).

A new one is a file here, an entry in ``model/architectures.py`` (its heads and random weights) and one in
``model/presets.py`` (input size, anchors, normalization): "Add a backbone" in ``docs/architecture.md``.
"""
