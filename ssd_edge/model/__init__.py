"""The detector: default boxes, box coding, networks, checkpoints. Imports torch."""
