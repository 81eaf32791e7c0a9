"""Our best against the best that each peer's own tools give on the same weights, one interleaved run a network.

    python -m bench.peers [PRESET ...] [--seconds S] [--rounds R] [--busy N]

Image to boxes, all cores. Ratios are medians over pairs of blocks with their intervals: ours to the best peer, which
may be OpenVINO with a graph that we quantized; ours to the best that the peers' own tools give (ONNX Runtime's
quantizer, and NNCF where it is installed); torchvision's eager mode to ours. Then the shares of the same run's matrix
product, and of the NMS. ``--busy 2`` does the same beside two processes that are kept busy.
"""

from __future__ import annotations

from importlib.util import find_spec

import ssd_edge as ssd
from bench._figures import report
from bench._options import run
from ssd_edge.core.intervals import paired_ratio

PRESETS = ("ssd300-vgg16", "ssd300-mobilenet-v1", "ssdlite300-mobilenet-v2", "ssdlite320-mobilenet-v3-large")
TORCHVISION = "torchvision"
OUR_GRAPH = "Q/DQ)"  # how the names of peers end that read a graph which we quantized


def main(presets: tuple[str, ...] = PRESETS, *, seconds: float = 60.0, rounds: int = 21, busy: int = 0) -> None:
    targets = ["onnxruntime", *(["openvino"] if find_spec("openvino") is not None else [])]
    there = [peer for peer in ("onnxruntime", "openvino", TORCHVISION) if find_spec(peer) is not None]
    for preset in presets:
        alone = not busy
        result = ssd.bench(
            preset, against=there, targets=targets, seconds=seconds, rounds=rounds, busy=busy, roofline=alone,
            quick=not alone,
        )  # fmt: skip
        show(preset, result, busy)


def show(preset: str, result: ssd.BenchResult, busy: int) -> None:
    """Print a network's contestants and ratios."""
    place = f"peers.{preset}" + (f".beside-{busy}" if busy else "")
    for warning in result.warnings:
        print(warning)
    for entry in result.contestants:
        share = f"  {100 * entry.peak_share:5.1f} % of peak" if entry.peak_share is not None else ""
        stages = sum(entry.stages_ms.values())
        nms = f"  NMS {100 * entry.stages_ms['nms'] / stages:4.1f} %" if "nms" in entry.stages_ms else ""
        median = f"{entry.latency.median:8.2f} ms ({entry.latency.low:.2f} to {entry.latency.high:.2f})"
        print(f"{entry.name:75} {median}{share}{nms}")
        report(f"{place}.{entry.name.removeprefix(preset).strip().replace(' ', '-')}.ms", entry.latency.median)
    ours = fastest([entry for entry in result.contestants if entry.name.startswith(f"{preset} ours")])
    peers = [entry for entry in result.contestants if not entry.name.startswith(f"{preset} ours")]
    others = [entry for entry in peers if entry.runtime != TORCHVISION]
    for name, found in (
        ("best-peer", others),
        ("best-of-peers-own-tools", [entry for entry in others if not entry.name.endswith(OUR_GRAPH)]),
    ):
        if found:
            compare(f"{place}.ours-to-{name}", ours, fastest(found))
    for entry in (entry for entry in peers if entry.runtime == TORCHVISION):
        compare(f"{place}.torchvision-to-ours", entry, ours)
    for missing in result.left_out:
        print(f"left out: {missing}")


def fastest(entries: list[ssd.Contestant]) -> ssd.Contestant:
    return min(entries, key=lambda entry: entry.latency.median)


def compare(name: str, mine: ssd.Contestant, theirs: ssd.Contestant) -> None:
    ratio = paired_ratio(mine.block_medians_ms, theirs.block_medians_ms)
    print(f"{name}: {ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})  {mine.name} / {theirs.name}", flush=True)
    report(name, ratio.median)


if __name__ == "__main__":
    run(main)
