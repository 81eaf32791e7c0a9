"""Reads the self-tests that a device wrote, and says what they verify of docs/verified.md.

    python -m tools.verified selftest.json [more.json ...]

Each file is what ``ssd-edge doctor --selftest`` writes. For each statement of docs/verified.md that such a file can
answer, a line says ``verified``, ``refuted`` or ``not in this file``, with the figures. A virtual GPU verifies nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ssd_edge.backends.cuda_driver import is_virtual_name

Answer = tuple[bool | None, str]  # None: the file says nothing of it
_ENOUGH = 0.97  # of the frames that a camera promises


def detections(found: dict[str, Any]) -> Answer:
    verdicts = _on_gpu(found)
    failed = [f"{_name(one)}: {one['error'] or '; '.join(one['faults'])}" for one in verdicts if _has_failed(one)]
    passed = ", ".join(_name(one) for one in verdicts if not _has_failed(one))
    return (None if not verdicts else not failed), "; ".join(failed) or passed


def captured(found: dict[str, Any]) -> Answer:
    bodies = [one for one in found.get("nms") or [] if not one["error"]]
    said = [f"{one['body']} {one['graph_ms']:.3f} ms" if one["captured"] else f"{one['body']} no" for one in bodies]
    must = [one["captured"] for one in bodies if one["body"] != "loop"]  # a Loop is not expected to be
    return (None if not must else all(must)), ", ".join(said)


def half_beside_int8(found: dict[str, Any]) -> Answer:
    times = {one["precision"]: one["median_ms"] for one in _on_gpu(found) if not _has_failed(one)}
    if not {"int8", "int8-fp16"} <= times.keys():
        return None, ""
    return times["int8-fp16"] < times["int8"], f"{times['int8-fp16']:.2f} against {times['int8']:.2f} ms"


def build_memory(found: dict[str, Any]) -> Answer:
    sizes = {one["precision"]: one["build_mib"] for one in _on_gpu(found) if one["build_mib"]}
    return (True if sizes else None), ", ".join(f"{name} {mib:.0f} MiB" for name, mib in sizes.items())


def all_frames(found: dict[str, Any]) -> Answer:
    camera = found.get("camera")
    if not camera or not camera["promised"]:
        return None, ""
    share = camera["delivered"] / camera["promised"]
    return share >= _ENOUGH, f"{share:.2f} of {camera['promised']:g} frames a second"


STATEMENTS: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "engines of TensorRT and TensorRT-RTX": detections,
    "CUDA graphs can capture": captured,
    "INT8 with FP16 is faster than INT8 with FP32": half_beside_int8,
    "memory of a build": build_memory,
    "a USB camera delivers all its frames": all_frames,
}
"""How a row of the page begins -> what answers it."""


def report(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines for one self-test."""
    gpu = found["facts"].get("gpu")
    gpu = gpu if isinstance(gpu, dict) else {"name": "no GPU"}
    machine = next((line["found"] for line in found["lines"] if line["name"] == "machine"), "")
    yield f"{gpu['name']}, {machine}"
    for statement, answer in STATEMENTS.items():
        of_camera = answer is all_frames
        holds, figures = answer(found) if of_camera or not is_virtual_name(gpu["name"]) else (None, "a virtual GPU")
        word = {True: "verified", False: "refuted", None: "not in this file"}[holds]
        yield f"  {statement}: {word}{f' ({figures})' if figures else ''}"


def _on_gpu(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in found.get("selftest") or [] if one["runtime"].startswith("tensorrt")]


def _has_failed(verdict: dict[str, Any]) -> bool:
    return bool(verdict["error"] or verdict["faults"])


def _name(verdict: dict[str, Any]) -> str:
    return f"{verdict['precision']} on {verdict['runtime']}"


def main(*paths: str) -> None:
    if not paths:
        sys.exit("usage: python -m tools.verified selftest.json [more.json ...]")
    for path in paths:
        for line in report(json.loads(Path(path).read_text(encoding="utf-8"))):
            print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])
