"""The detector: anchors, box coding, networks, checkpoints. Imports torch."""
