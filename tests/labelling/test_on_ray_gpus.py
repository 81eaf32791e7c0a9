"""Labelling on a Ray cluster whose head has neither a core nor a GPU to give: engines are opened on the nodes alone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ssd_edge as ssd
from ssd_edge.backends.detector import Detector
from ssd_edge.labelling.job import JobFolder
from ssd_edge.labelling.on_ray import Resources, model_facts_on_ray
from ssd_edge.workflows.label_model import ModelOpener
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.backends.trt_rehearsals import write_tiny_engine
from tests.labelling.photos import write_photos
from tools.emulator.surroundings import READY, surroundings

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
parquet = pytest.importorskip("pyarrow.parquet")
cluster_utils = pytest.importorskip("ray.cluster_utils")

pytestmark = pytest.mark.slow
COUNT, PART = 160, 4
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head with nothing to give, and two nodes of a core and a GPU, which is the emulated one where that is built."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)  # of the workers, which import tests
    env = {}
    if READY:
        wanted = surroundings("10.3")
        env = {name: value for name, value in wanted.items() if value != os.environ.get(name)}
        env["PYTHONPATH"] = os.pathsep.join([wanted["PYTHONPATH"], path])
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    made.nodes_with_gpus = [made.add_node(num_cpus=1, num_gpus=1, env_vars=env) for _ in range(2)]
    made.wait_for_nodes()
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@dataclass(frozen=True)
class NeedsGpu(ModelOpener):
    """A model that opens only where Ray has given its process a GPU."""

    def open(self, cores: int) -> Detector:
        if not ray.get_gpu_ids():
            raise ssd.DeviceError("there is no GPU")
        return super().open(cores)


def test_the_facts_of_a_model_come_from_a_node_with_a_gpu(cluster: Any, tmp_path: Path) -> None:
    opener = NeedsGpu(str(write_tiny_onnx(tmp_path / "bright.onnx")))
    facts = model_facts_on_ray(opener, Resources(None, 1))
    assert (facts.name, facts.most_in_batch) == ("bright", None)
    with pytest.raises(ssd.DeviceError, match=r"cannot be opened on the cluster.*there is no GPU"):
        model_facts_on_ray(opener, Resources(1, 0))
    with pytest.raises(ssd.DeviceError, match=r"large enough to label: got 3 nodes, of which 2 have GPUs"):
        model_facts_on_ray(opener, Resources(2, 1))


def parts_of(folder: Path) -> list[Path]:
    return list(folder.glob("parts/part-*.parquet"))


def workers(folder: Path) -> set[bytes]:
    return {parquet.read_schema(part).metadata[b"ssd_edge.worker"] for part in parts_of(folder)}


@pytest.mark.skipif(not READY, reason="the emulated GPU is not built: make setup")
def test_engines_for_a_gpu_from_a_head_without_one_and_a_node_that_is_lost(cluster: Any, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", COUNT)
    engine, done = write_tiny_engine(tmp_path), []
    with pytest.raises(ssd.SsdEdgeError):  # here is no TensorRT, and no GPU
        ssd.load(engine)

    def lose_a_node() -> None:
        while len(workers(tmp_path / "out")) < 2:
            time.sleep(0.05)
        done.append(len(parts_of(tmp_path / "out")))
        cluster.remove_node(cluster.nodes_with_gpus[0], allow_graceful=False)

    killer = threading.Thread(target=lose_a_node, daemon=True)
    killer.start()
    options = {"images_per_part": PART, "batch": 2}
    result = ssd.label(tmp_path / "photos", engine, output=tmp_path / "out", engine="ray", **options)
    killer.join(60)
    assert done, "both nodes had parts"
    assert 0 < done[0] < COUNT // PART
    assert (result.summary.complete, result.summary.images, result.summary.errors) == (True, COUNT, 0)
    assert result.summary.detections == COUNT
    (device,) = result.summary.devices
    assert "sm_87" in device  # the emulated Orin
    assert JobFolder.read(tmp_path / "out").job.runtime.startswith("tensorrt 10.3")
    ids = [row for part in parts_of(tmp_path / "out") for row in parquet.read_table(part).column("id").to_pylist()]
    assert len(ids) == len(set(ids)) == COUNT


def test_ray_chooses_the_gpu_of_an_actor(tmp_path: Path) -> None:
    with pytest.raises(ssd.InputError, match="cannot be chosen with Ray, .*; wanted device cuda$"):
        ssd.label(tmp_path, tmp_path / "a.pt", output=tmp_path / "out", engine="ray", device="cuda:1")
