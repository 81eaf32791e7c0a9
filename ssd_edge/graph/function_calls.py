"""Calls of model-local functions, weighed before anything follows them: a few lines can stand for gigabytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from onnx import FunctionProto, ModelProto, NodeProto

from ssd_edge.core.errors import ArtifactError

_DEEPEST = 100  # functions in one another; what follows them recurses
_NODE_BYTES = 2000  # what a node takes in memory beside its constants, and more
_MOST_BYTES = 1 << 31  # protobuf has no larger messages


def _id(domain: str, name: str, holder: FunctionProto | NodeProto) -> str:
    """Return the name by which ONNX distinguishes functions: a node calls the function that has the same one."""
    overload = getattr(holder, "overload", "")  # onnx before 1.16 has none
    return "::".join(("" if domain == "ai.onnx" else domain, name, *([overload] if overload else [])))


@dataclass(frozen=True)
class _Body:
    """Some nodes: about how many bytes they take, and how often they call each function."""

    own: int
    calls: Counter[str]

    @classmethod
    def of(cls, nodes: Iterable[NodeProto], functions: Collection[str]) -> _Body:
        own, calls = 0, Counter[str]()
        for node in all_nodes(nodes):
            own += _NODE_BYTES + node.ByteSize()
            calls[_id(node.domain, node.op_type, node)] += 1
        return cls(own, Counter({name: count for name, count in calls.items() if name in functions}))

    def written_out(self, sizes: Mapping[str, int]) -> int:
        """Return the bytes with the bodies of what is called; no more than is too many."""
        return min(self.own + sum(count * sizes[name] for name, count in self.calls.items()), _MOST_BYTES + 1)


def check_calls(model: ModelProto, path: Path) -> None:
    """Refuse functions that call each other in a ring or too deeply, or are too large once each call is written out.

    Raises:
        ArtifactError: they are so, or two have the same name; ``path`` names the file.
    """
    if not model.functions:
        return
    names = Counter(_id(function.domain, function.name, function) for function in model.functions)
    ((name, count),) = names.most_common(1)
    if count > 1:
        raise _refusal(path, f"{count} of the name {name!r:.80}", "one of each name")
    bodies = {name: _Body.of(function.node, names) for name, function in zip(names, model.functions, strict=True)}
    sizes, depths = dict[str, int](), dict[str, int]()
    try:
        for name in TopologicalSorter({name: body.calls for name, body in bodies.items()}).static_order():
            sizes[name] = bodies[name].written_out(sizes)
            depths[name] = 1 + max((depths[called] for called in bodies[name].calls), default=0)
    except CycleError as error:
        ring = " calls ".join(reversed(error.args[1]))
        raise _refusal(path, f"a ring: {ring!r:.200}", "no function that leads to itself") from error
    if (deepest := max(depths.values(), default=0)) > _DEEPEST:
        raise _refusal(path, f"{deepest} that call one another in a row", f"at most {_DEEPEST}")
    if (whole := _Body.of(model.graph.node, names).written_out(sizes)) > _MOST_BYTES:
        raise _refusal(path, f"{whole} bytes or more, each call written out", f"at most {_MOST_BYTES}")


def _refusal(path: Path, got: str, wanted: str) -> ArtifactError:
    return ArtifactError(
        f"{path} has functions that cannot be followed", got=got, wanted=wanted, do="Export the model again."
    )


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Yield the nodes and those of the graphs in their attributes, at any depth."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                waiting += graph.node
