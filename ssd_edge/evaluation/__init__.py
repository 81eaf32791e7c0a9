"""mAP of anything that detects, and reports of it. Never imports torch."""
