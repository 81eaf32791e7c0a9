"""Floor 0: the types that cross every border. Imports numpy and OpenCV, nothing heavier."""
