"""Drawn scenes with road signs: labelled data of any size, without a download."""

from ssd_edge.scenes.dataset import synthesize
from ssd_edge.scenes.signs import SIGN_KINDS
from ssd_edge.scenes.video import synth_video

__all__ = ["SIGN_KINDS", "synth_video", "synthesize"]
