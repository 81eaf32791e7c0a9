"""From a float graph to INT8 and FP16: image sets, ranges, calibration tables, lowering, refinement, fallback."""
