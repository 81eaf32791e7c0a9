"""Contestants side by side on one machine, each in a process of its own; and what the machine did meanwhile.

PyTorch, OpenVINO and other runtimes are imported by the worker of a contestant that needs them, and by nothing else.
"""
