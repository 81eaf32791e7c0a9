"""Eighteen slips of the pen in the TensorRT runtime, each of which the emulated GPU must notice on every release.

All of them on all six releases:

    SSD_EDGE_TEST_ALL=1 pytest tests/backends/tensorrt/test_planted_faults.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tools.emulator.rehearse import needs_emulator, rehearse
from tools.emulator.standin.releases import RELEASES, plugins_of

pytestmark = needs_emulator
HERE = "tests.backends.trt_rehearsals"

PLANTED = {
    "missing_synchronise": "other outputs",
    "output_before_its_event": "other outputs",
    "buffer_freed_while_a_graph_holds_it": "freed while a graph holds it",
    "context_used_from_another_thread": "no current context on this thread",
    "context_not_popped": "context not popped",
    "wrong_dtype": "too little memory at the address",
    "wrong_shape": "wrong shape",
    "batch_above_the_profile": "not in the profile",
    "address_of_a_previous_shape_kept": "other outputs",
    "plugin_library_not_initialised": "plugin library not initialized",
    "engine_outliving_its_runtime": "an engine outlives its runtime",
    "contexts_never_dropped": "an engine outlives its runtime",
    "captured_before_it_ran": "captured before it ran",
    "memory_never_freed": "leak: ",
    "pinned_memory_never_freed": "pinned memory is left",
    "memory_for_each_frame": "leak: 1048576 bytes",
    "size_prepared_over_a_batch_in_flight": "other outputs for a batch of 1",
    "kernels_that_fill_in_captured": "a CUDA graph keeps kernels that only fill in",
}


def has_place(fault: str, release: str) -> bool:
    """Whether there is something to forget: 11 and RTX have no plugin for us, and only RTX compiles as it runs."""
    if fault == "plugin_library_not_initialised":
        return "BatchedNMSDynamic_TRT" in plugins_of(release)
    return fault != "kernels_that_fill_in_captured" or release == "rtx"


def arguments(fault: str, release: str) -> dict[str, Any]:
    changes = {"in_release": release, "fault": fault}
    if fault == "size_prepared_over_a_batch_in_flight":
        return {**changes, "first": 1, "second": 2}
    return {**changes, "sizes": [1, 2, 5] if fault == "batch_above_the_profile" else [1, 2, 1, 4]}


def test_there_are_eighteen() -> None:
    assert len(PLANTED) == 18


@pytest.mark.slow(but="10.3-missing_synchronise]")
@pytest.mark.parametrize(
    ("release", "fault"), [(release, fault) for release in RELEASES for fault in PLANTED if has_place(fault, release)]
)
def test_a_planted_fault_is_caught(tmp_path: Path, release: str, fault: str) -> None:
    name = "batches" if "sizes" in arguments(fault, release) else "new_size_meets_a_batch_in_flight"
    wrong, report = rehearse(f"{HERE}:{name}", release, folder=str(tmp_path), **arguments(fault, release))
    assert re.search(PLANTED[fault], "\n".join([*wrong, *report["faults"]])), (wrong, report)


@pytest.mark.slow(but="rtx")
@pytest.mark.parametrize("release", RELEASES)
def test_nothing_is_found_where_nothing_was_planted(tmp_path: Path, release: str) -> None:
    found = rehearse(f"{HERE}:batches", release, folder=str(tmp_path), in_release=release, sizes=[1, 2, 1, 4])
    assert (found[0], found[1]["faults"]) == ([], [])
