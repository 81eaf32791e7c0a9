"""The stand-in where Python looks for an installed TensorRT-RTX; SSD_EDGE_STANDIN says which release it is."""

import os
import sys

from tests.emulator.standin.module import fill

fill(sys.modules[__name__], os.environ["SSD_EDGE_STANDIN"])
