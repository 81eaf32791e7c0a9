"""The stand-in where Python looks for an installed TensorRT-RTX; SSD_EDGE_STANDIN says which release it is."""

import os
import sys

from tools.emulator.standin.module import fill
from tools.emulator.standin.world import Traits

traits = Traits(dla_cores=int(os.environ.get("SSD_EDGE_STANDIN_DLA_CORES", "0")))
fill(sys.modules[__name__], os.environ["SSD_EDGE_STANDIN"], traits=traits)
