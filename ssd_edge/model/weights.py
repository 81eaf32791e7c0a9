"""Weights from a file: into the network as they are, or refused by the name of the first that does not fit."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ssd_edge.core.errors import ArtifactError
from ssd_edge.core.spec import ModelSpec
from ssd_edge.model.architectures import network
from ssd_edge.model.ssd import SSD


def with_weights(spec: ModelSpec, weights: Mapping[str, Tensor], *, origin: str) -> SSD:
    """Return the network of ``spec`` with these weights (not copied), in evaluation mode; ``origin`` names them.

    Raises:
        ArtifactError: a tensor is missing, superfluous, or of another shape or type than the network's.
    """
    model = network(spec)
    expected = model.state_dict()
    _check_names(expected, weights, origin)
    for name, tensor in expected.items():
        got = _describe(weights[name])
        if got != _describe(tensor):
            raise _misfit(origin, f"{name} of {got}", _describe(tensor))
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _check_names(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], origin: str) -> None:
    missing = sorted(expected.keys() - weights.keys())
    surplus = sorted(map(str, weights.keys() - expected.keys()))
    if missing:
        raise _misfit(origin, f"no {missing[0]} ({len(missing)} tensors missing)", "every weight of the network")
    if surplus:
        raise _misfit(origin, f"{surplus[0]} ({len(surplus)} unknown tensors)", "the network's weights only")


def _describe(tensor: object) -> str:
    if not isinstance(tensor, Tensor):
        return type(tensor).__name__
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _misfit(origin: str, got: str, wanted: str) -> ArtifactError:
    return ArtifactError(f"the weights of {origin} do not match the network", got=got, wanted=wanted)
