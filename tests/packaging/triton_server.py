"""What a Triton server is to its client: one model, run by ONNX Runtime, which refuses what it does not take."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

grpc = pytest.importorskip("grpc", reason="pip install 'tritonclient[grpc]'")
messages = pytest.importorskip("tritonclient.grpc.service_pb2")
services = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")

TYPES = {"FP32": np.float32, "INT32": np.int32, "UINT8": np.uint8}


class Inference(services.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """One model under one name."""

    def __init__(self, name: str, model: Path) -> None:
        self.name, self.session = name, onnxruntime.InferenceSession(str(model))

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        """Run the model on the tensor of a request and return the outputs that it names."""
        if request.model_name != self.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model {request.model_name}")
        (entry,), (data,) = request.inputs, request.raw_input_contents
        tensor = np.frombuffer(data, TYPES[entry.datatype]).reshape(tuple(entry.shape))
        names = [output.name for output in request.outputs]
        answer = messages.ModelInferResponse(model_name=self.name)
        for name, array in zip(names, self.session.run(names, {entry.name: tensor}), strict=True):
            datatype = next(key for key, kind in TYPES.items() if kind == array.dtype)
            answer.outputs.add(name=name, datatype=datatype, shape=array.shape)
            answer.raw_output_contents.append(array.tobytes())
        return answer


@contextmanager
def serving(name: str, model: Path) -> Iterator[str]:
    """Serve a model on a free port of this machine, and give the address."""
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        services.add_GRPCInferenceServiceServicer_to_server(Inference(name, model), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
