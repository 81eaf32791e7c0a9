"""Is this ONNX one of ours? Looked at before any pixel is run, so that a foreign file is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ssd_edge.core.errors import ArtefactError
from ssd_edge.core.graph import INPUT_NAME, OUTPUT_NAMES, SPEC_KEY
from ssd_edge.core.spec import ModelSpec

_OUTPUT_TYPES = ("tensor(int32)", "tensor(float)", "tensor(float)", "tensor(float)")


@dataclass(frozen=True)
class Tensor:
    """An input or output as the runtime reports it; a free dimension is a name or None."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name} {self.type.removeprefix('tensor(').removesuffix(')')} ({dims})"


def read_spec(
    path: Path, metadata: Mapping[str, str], inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> ModelSpec:
    """Return the spec of a graph that fulfils the contract (docs: "The graph contract").

    Raises:
        ArtefactError: no spec in the metadata, or inputs and outputs other than the contract's.
    """
    if SPEC_KEY not in metadata:
        raise ArtefactError(
            f"{path} was not exported by ssd-edge",
            got=_signature(inputs, outputs),
            wanted=f"an ONNX with {SPEC_KEY!r} in its metadata",
            do=f"If it is an SSD, import it: ssd-edge import {path}",
        )
    spec = ModelSpec.from_json(metadata[SPEC_KEY], origin=str(path))
    _check_input(path, spec, inputs, outputs)
    _check_outputs(path, spec, inputs, outputs)
    return spec


def _check_input(path: Path, spec: ModelSpec, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    wanted = (spec.input.height, spec.input.width, 3)
    found = [(entry.name, entry.type, entry.shape[1:]) for entry in inputs]
    if found != [(INPUT_NAME, "tensor(uint8)", wanted)]:
        _refuse(path, inputs, outputs, f"one input {INPUT_NAME} uint8 (B, {', '.join(map(str, wanted))})")


def _check_outputs(path: Path, spec: ModelSpec, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> None:
    kept = spec.nms.keep_top_k
    shapes = ((1,), (kept, 4), (kept,), (kept,))
    found = [(entry.name, entry.type, len(entry.shape)) for entry in outputs]
    wanted = [(*pair, len(shape) + 1) for *pair, shape in zip(OUTPUT_NAMES, _OUTPUT_TYPES, shapes, strict=True)]
    # A free dimension is allowed: not every runtime infers shapes through the NMS node.
    fits = found == wanted and all(
        not isinstance(got, int) or got == want
        for entry, shape in zip(outputs, shapes, strict=True)
        for got, want in zip(entry.shape[1:], shape, strict=True)
    )
    if not fits:
        _refuse(path, inputs, outputs, f"{', '.join(OUTPUT_NAMES)} with {kept} rows")


def _refuse(path: Path, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], wanted: str) -> None:
    raise ArtefactError(
        f"{path} does not fulfil the graph contract",
        got=_signature(inputs, outputs),
        wanted=wanted,
        do="Export the model again: ssd-edge export",
    )


def _signature(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> str:
    return f"{', '.join(map(str, inputs))} -> {', '.join(map(str, outputs))}"
