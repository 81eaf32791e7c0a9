"""Calls of model-local functions, weighed before anything follows them: a few lines can stand for gigabytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, NodeProto

from ssd_edge.core.errors import ArtifactError

_DEEPEST = 100  # functions in one another; ONNX's own inliner has this limit too
_NODE_BYTES = 2000  # what a node takes in memory beside its constants, and more
_MOST_BYTES = 1 << 31  # protobuf has no larger messages

_Name = tuple[str, str]


@dataclass(frozen=True)
class _Body:
    """Some nodes: about how many bytes they take, and how often they call each function."""

    own: int
    calls: Counter[_Name]

    @classmethod
    def of(cls, nodes: Iterable[NodeProto], functions: Set[_Name]) -> _Body:
        own, calls = 0, Counter[_Name]()
        for node in _all_nodes(nodes):
            own += _NODE_BYTES + node.ByteSize()
            calls[node.domain, node.op_type] += 1
        return cls(own, Counter({name: count for name, count in calls.items() if name in functions}))

    def written_out(self, sizes: Mapping[_Name, int]) -> int:
        """Return the bytes with the bodies of what is called; no more than is too many."""
        return min(self.own + sum(count * sizes[name] for name, count in self.calls.items()), _MOST_BYTES + 1)


def check_calls(model: ModelProto, path: Path) -> None:
    """Refuse functions that call each other in a ring, or that are too large once each call is written out.

    Raises:
        ArtifactError: they are so; ``path`` names the file.
    """
    if not model.functions:
        return
    names = {(function.domain, function.name) for function in model.functions}
    bodies = {(function.domain, function.name): _Body.of(function.node, names) for function in model.functions}
    sizes = dict.fromkeys(names, 0)
    for _ in range(_DEEPEST):
        grown = {name: body.written_out(sizes) for name, body in bodies.items()}
        if grown == sizes:
            break
        sizes = grown
    else:
        raise _refusal(path, f"calls within calls, more than {_DEEPEST}", f"at most {_DEEPEST}, and no ring")
    if (whole := _Body.of(model.graph.node, names).written_out(sizes)) > _MOST_BYTES:
        raise _refusal(path, f"{whole} bytes or more, each call written out", f"at most {_MOST_BYTES}")


def _refusal(path: Path, got: str, wanted: str) -> ArtifactError:
    return ArtifactError(
        f"{path} has functions that cannot be followed", got=got, wanted=wanted, do="Export the model again."
    )


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield the nodes and those of the graphs in their attributes, at any depth."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                waiting += graph.node
