"""The stand-in where Python looks for an installed TensorRT; SSD_EDGE_STANDIN says which release it is."""

import os
import sys

from tools.emulator.standin.module import fill
from tools.emulator.standin.world import Traits

traits = Traits(
    dla_cores=int(os.environ.get("SSD_EDGE_STANDIN_DLA_CORES", "0")),
    no_int8_kernel=os.environ.get("SSD_EDGE_STANDIN_NO_INT8_KERNEL", ""),
    short_of_memory=bool(os.environ.get("SSD_EDGE_STANDIN_SHORT_OF_MEMORY")),
    cuda_problem=int(os.environ.get("SSD_EDGE_STANDIN_CUDA_PROBLEM", "0")),
)
fill(sys.modules[__name__], os.environ["SSD_EDGE_STANDIN"], traits=traits)
