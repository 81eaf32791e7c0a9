"""A foreign SSD in ONNX: read (source), run (probe), understood (outputs), rebuilt (surgery), compared (verify)."""
