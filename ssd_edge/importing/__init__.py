"""Weights and graphs of other projects, as ours.

Weights: ``weights.py`` recognizes the family, ``family.py`` says what a family is, and each project has a file.
Graphs: ``graphs/import_onnx.py`` reads a foreign ONNX, runs it, puts ours around it and compares both.
"""
