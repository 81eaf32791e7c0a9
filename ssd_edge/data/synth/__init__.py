"""Drawn scenes with road signs: labelled data of any size, without a download."""

from ssd_edge.data.synth.dataset import synthesize
from ssd_edge.data.synth.signs import SIGN_KINDS
from ssd_edge.data.synth.video import synth_video

__all__ = ["SIGN_KINDS", "synth_video", "synthesize"]
