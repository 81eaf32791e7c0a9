"""What all tests share: signals as in a terminal, and which tests are left to ``make test-all``."""

from __future__ import annotations

import os
import signal

import pytest

ALL = "SSD_EDGE_TEST_ALL"

# A script that starts the tests with "&" has them ignore Ctrl-C, and so would all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What OpenVINO compiles is kept for the session only, and no build stops to measure which runtime is faster."""
    os.environ["SSD_EDGE_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    os.environ["SSD_EDGE_CPU_RUNTIME"] = "onnxruntime"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to ``make test-all``, unless one is named; ``slow(but="10.3")`` keeps that parameter."""
    if os.environ.get(ALL) or any("::" in argument for argument in config.args):
        return
    left = [item for item in items if (mark := item.get_closest_marker("slow")) and not _is_kept(item, mark)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]


def _is_kept(item: pytest.Item, mark: pytest.Mark) -> bool:
    return "but" in mark.kwargs and f"[{mark.kwargs['but']}" in item.nodeid
