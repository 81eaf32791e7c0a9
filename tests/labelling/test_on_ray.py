"""Labelling on a real Ray cluster of two nodes on this machine, one of which is lost on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ssd_edge as ssd
from ssd_edge.core.progress import silent
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.on_ray import Resources, label_on_ray
from ssd_edge.workflows.label_model import ModelOpener, read_video
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.labelling.photos import write_photos

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
parquet = pytest.importorskip("pyarrow.parquet")
cluster_utils = pytest.importorskip("ray.cluster_utils")

pytestmark = pytest.mark.slow
COUNT, PART = 240, 4


def workers(parts: Path) -> set[bytes]:
    """The processes that wrote parts."""
    return {parquet.read_schema(part).metadata[b"ssd_edge.worker"] for part in parts.glob("*.parquet")}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{Path(__file__).parents[2]}{os.pathsep}{before}"  # of the workers, which import tests
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.second = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()
    os.environ["PYTHONPATH"] = before


def test_no_cluster_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", none)
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    write_photos(tmp_path / "photos", 1)
    with pytest.raises(ssd.DeviceError, match="no Ray cluster to join"):
        ssd.label(tmp_path / "photos", model, output=tmp_path / "out", engine="ray")


def test_a_cluster_that_was_joined_leaves_signals_alone(cluster: Any, tmp_path: Path) -> None:
    call = (
        "import signal, ssd_edge as ssd\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "ssd.label('photos', 'bright.onnx', output='out', engine='ray', threads=1, progress=lambda _: seen.append("
        "signal.getsignal(signal.SIGTERM)))\n"
        "assert set(seen) == {before}, seen\n"
    )
    write_tiny_onnx(tmp_path / "bright.onnx")
    write_photos(tmp_path / "photos", 4)
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    done = subprocess.run([sys.executable, "-c", "seen = []\n" + call], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0


def test_what_goes_wrong_on_the_cluster_is_said(cluster: Any, tmp_path: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    write_photos(tmp_path / "photos", 4)
    with pytest.raises(ssd.DeviceError, match="is large enough to label"):
        ssd.label(tmp_path / "photos", model, output=tmp_path / "out", engine="ray", threads=64)


class OldNode(ModelOpener):
    """A node with another version of the runtime."""

    def runtime(self) -> str:
        return "onnxruntime 0.1"


def test_a_node_with_another_runtime_is_refused(cluster: Any, tmp_path: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    write_photos(tmp_path / "photos", 4)
    ssd.label(tmp_path / "photos", model, output=tmp_path / "out", images_per_part=2, shard=(1, 2))
    folder = JobFolder.read(tmp_path / "out")
    with pytest.raises(ssd.DeviceError, match=r"another model file than the job.*onnxruntime 0\.1"):
        label_on_ray(folder, [1], Resources(1, 0), OldNode(str(model)), read_video, silent)
    assert folder.done() == {0}


def test_a_node_that_is_lost_costs_no_image(cluster: Any, tmp_path: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bright.onnx")
    write_photos(tmp_path / "photos", COUNT)
    (tmp_path / "photos/0007.png").write_text("damaged")
    parts, done = tmp_path / "out/parts", []

    def lose_a_node() -> None:
        while len(workers(parts)) < 2:
            time.sleep(0.05)
        done.append(len(list(parts.glob("*.parquet"))))
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=lose_a_node)
    killer.start()
    result = ssd.label(
        tmp_path / "photos", model, output=tmp_path / "out", engine="ray", threads=1, images_per_part=PART, batch=2
    )
    killer.join()
    assert 0 < done[0] < COUNT // PART
    alone = ssd.label(tmp_path / "photos", model, output=tmp_path / "alone", images_per_part=PART, batch=2)
    assert result.summary.digest == alone.summary.digest
    assert (result.summary.images, result.summary.errors) == (COUNT, 1)
    ids = [row for part in parts.glob("*.parquet") for row in parquet.read_table(part).column("id").to_pylist()]
    assert len(ids) == len(set(ids)) == COUNT
    again = ssd.label(
        tmp_path / "photos", model, output=tmp_path / "out", engine="ray", threads=1, images_per_part=PART, batch=2
    )
    assert (again.labelled, again.summary) == (0, result.summary)
