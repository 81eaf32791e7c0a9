"""Drawn scenes with road signs: images and video frames with the truth about them, of any number, without a download.

It draws; ``workflows/synthesize.py`` writes data sets and videos.
"""
