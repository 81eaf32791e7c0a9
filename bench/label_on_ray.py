"""Labelling on a Ray cluster of two nodes on this machine, one of which is lost on the way, against a run without Ray.

    python -m bench.label_on_ray [MODEL] [--images N] [--part N] [--seed N] [--folder DIR]

Each node has one core (Ray's own cluster utility). The second node is killed once both have written parts and a random
share of them is done. Rows are counted and digested by code that knows nothing of ssd-edge. Ends with 1 where a count
or a digest differs.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import ssd_edge as ssd
from bench._drawn_photos import write_photos
from bench._label_jobs import command, engine_for, rows_digest
from bench._options import run

SIZE = (640, 480)


def workers(output: Path) -> set[bytes]:
    from pyarrow import parquet

    return {parquet.read_schema(part).metadata[b"ssd_edge.worker"] for part in output.glob("parts/*.parquet")}


def main(
    model: Path | None = None, *, images: int = 1000, part: int = 32, seed: int = 0, folder: Path | None = None
) -> int:
    if find_spec("ray") is None:
        print("skipped: Ray is not installed (pip install 'ssd-edge[ray]')")
        return 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        path = engine_for(model, place)
        photos = (folder or place) / f"photos-{images}"
        write_photos(photos, images, SIZE)
        subprocess.run(command(photos, path, place / "whole", part), check=True, capture_output=True)
        expected = rows_digest(place / "whole")
        result, at = on_two_nodes(photos, path, place / "ray", part, random.Random(seed))
        found, total = rows_digest(place / "ray"), result.summary.parts_total
    print(f"alone:  {expected}\non Ray: {found}")
    print(
        f"a node was lost when {at} of {total} parts were done; {result.images_per_second:.1f} images/s; "
        f"{result.labelled} of {images} images counted as labelled by the cluster"
    )
    return 0 if found == expected and found[0] == found[1] == images and 0 < at < total else 1


def on_two_nodes(photos: Path, model: Path, output: Path, part: int, rng: random.Random) -> tuple[ssd.LabelResult, int]:
    """Label on a cluster and kill one of its nodes; return the result, and how many parts were done by then."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    total = -(-len(list(photos.iterdir())) // part)
    due, at = rng.uniform(0.2, 0.7) * total, []

    def lose_a_node() -> None:
        while len(workers(output)) < 2 or len(list(output.glob("parts/part-*.parquet"))) < due:
            time.sleep(0.1)
        at.append(len(list(output.glob("parts/part-*.parquet"))))
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=lose_a_node, daemon=True)
    killer.start()
    try:
        options = {"engine": "ray", "threads": 1, "images_per_part": part, "score_threshold": 0.3}
        result = ssd.label(photos, model, output=output, **options)
    finally:
        ray.shutdown()
        cluster.shutdown()
    return result, at[0] if at else 0


if __name__ == "__main__":
    run(main)
