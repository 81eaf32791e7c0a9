"""A graph that was exported for one image, opened to any number of them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.shape_inference
from onnx import numpy_helper

from ssd_edge.graph.editor import constant_tensors, copied, drop_unread_constants

BATCH = "batch"


def with_free_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with a free first axis at its input, and reshapes that take the number of images from there.

    An exporter that traces one image writes that 1 into its reshapes; where the reshaped tensor has a first axis of
    1 itself, a 0 ("as in the input", ONNX Reshape) means the same for one image and the right thing for more. Other
    places can hold a 1 as well, so the result is a candidate that has to prove itself on several images.
    """
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    single = {
        value.name
        for value in (*inferred.graph.value_info, *inferred.graph.input)
        if value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_value == 1
    }
    constants = _constants(model)
    freed = copied(model)
    for number, node in enumerate(freed.graph.node):
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape[0] == 1 and node.input[0] in single and not _zero_means_zero(node):
            name = f"shape_of_any_batch_{number}"
            freed.graph.initializer.append(numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), name))
            node.input[1] = name
    drop_unread_constants(freed.graph, constants)
    freed.graph.input[0].type.tensor_type.shape.dim[0].dim_param = BATCH
    del freed.graph.value_info[:]  # the shapes in there are those of one image
    return freed


def with_single_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with a first axis of 1 at its input."""
    single = copied(model)
    single.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del single.graph.value_info[:]
    return single


def _zero_means_zero(reshape: onnx.NodeProto) -> bool:
    return any(entry.name == "allowzero" and entry.i == 1 for entry in reshape.attribute)


def _constants(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return the one-dimensional integer constants by name."""
    return {
        name: numpy_helper.to_array(tensor).tolist()
        for name, tensor in constant_tensors(model.graph).items()
        if tensor.data_type == onnx.TensorProto.INT64 and len(tensor.dims) == 1 and tensor.dims[0] > 0
    }
