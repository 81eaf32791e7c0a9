"""What the benchmarks of labelling share: an engine, the command, and a digest that knows nothing of ssd-edge."""

from __future__ import annotations

import hashlib
import struct
import sys
from pathlib import Path

import ssd_edge as ssd
from bench._models import write_random_onnx

PRESET = "ssd192-tiny"


def engine_for(model: Path | None, place: Path) -> Path:
    """The model, or an engine of the demo's network with random weights; an ONNX or checkpoint becomes an engine."""
    if model is not None and model.suffix == ".engine":
        return model
    source = model or place / f"{PRESET}.onnx"
    if model is None:
        write_random_onnx(PRESET, source)
    if source.suffix == ".pt":
        source = ssd.export(source, workspace=place).path
    return ssd.build(source, workspace=place).path


def command(photos: Path, model: Path, output: Path, part: int, *more: str) -> list[str]:
    """The command line of one job."""
    options = ["--model", str(model), "--output", str(output), "--images-per-part", str(part)]
    return [sys.executable, "-m", "ssd_edge", "label", str(photos), *options, "--score-threshold", "0.3", *more]


def rows_digest(output: Path) -> tuple[int, int, str]:
    """Rows, different ids, and the digest of the rows sorted by id, boxes to 1/100 pixel and scores to 1e-4."""
    from pyarrow import parquet

    rows: list[tuple[str, bytes]] = []
    for part in sorted(output.glob("parts/*.parquet")):
        for row in parquet.read_table(part).to_pylist():
            text = hashlib.sha256(f"{row['width']} {row['height']} {row['classes']} {row['error']}".encode())
            for box, score in zip(row["boxes"], row["scores"], strict=True):
                text.update(struct.pack("<4qq", *(round(edge * 100) for edge in box), round(score * 10_000)))
            rows.append((row["id"], text.digest()))
    rows.sort()
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + value for name, value in rows))
    return len(rows), len({name for name, _ in rows}), digest.hexdigest()
