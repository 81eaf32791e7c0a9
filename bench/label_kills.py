"""Labelling that is killed at random moments, and in shards: no image is lost or doubled, and every row is the same.

    python -m bench.label_kills [MODEL] [--images N] [--kills N] [--part N] [--seed N] [--folder DIR]

An undisturbed run; one that is killed (SIGKILL) so many times and begun again; runs of 2 and of 4 shards, at the same
time, one of the four killed once. Each has its rows counted and digested by code that knows nothing of ssd-edge. A
damaged image is among them. Ends with 1 where a count or a digest differs, or where fewer kills than asked for struck.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from pathlib import Path

from bench._drawn_photos import write_photos
from bench._label_jobs import command, engine_for, rows_digest
from bench._options import run

SIZE = (640, 480)


def quiet(line: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def done(output: Path) -> int:
    return len(list(output.glob("parts/part-*.parquet")))


def kill_at_random(line: list[str], output: Path, total: int, kills: int, seconds: float, rng: random.Random) -> int:
    """Kill runs at random, the first soon after it began, the others after a share of the parts; return the strikes."""
    struck = 0
    for number in range(kills):
        process = quiet(line)
        while number and process.poll() is None and done(output) < int(total * number / kills):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, seconds * (0.5 / kills if number else 0.3)))
        struck += process.poll() is None
        process.kill()
        process.wait()
        print(f"  kill {number + 1}: {done(output)} of {total} parts done", flush=True)
    return struck


def main(
    model: Path | None = None,
    *,
    images: int = 1000,
    kills: int = 10,
    part: int = 32,
    seed: int = 0,
    folder: Path | None = None,
) -> int:
    rng, total = random.Random(seed), -(-images // part)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        path = engine_for(model, place)
        photos = (folder or place) / f"photos-{images}"
        write_photos(photos, images, SIZE)
        damaged = photos / f"{images // 2:06d}.jpg"
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[: len(whole) // 2])
        try:
            return compare(place, photos, path, part, total, kills, rng)
        finally:
            damaged.write_bytes(whole)


def compare(place: Path, photos: Path, path: Path, part: int, total: int, kills: int, rng: random.Random) -> int:
    began = time.monotonic()
    subprocess.run(command(photos, path, place / "whole", part), check=True, capture_output=True)
    seconds = time.monotonic() - began
    expected = rows_digest(place / "whole")
    print(f"undisturbed: {expected}", flush=True)
    line = command(photos, path, place / "killed", part)
    struck = kill_at_random(line, place / "killed", total, kills, seconds, rng)
    subprocess.run(line, check=True, capture_output=True)
    found = {"killed": rows_digest(place / "killed")}
    for shards in (2, 4):
        output = place / f"shards{shards}"
        lines = [
            command(photos, path, output, part, "--shard", f"{number}/{shards}") for number in range(1, shards + 1)
        ]
        processes = [quiet(line) for line in lines]
        if shards == 4:
            time.sleep(rng.uniform(1, max(2, seconds / 2)))
            processes[0].kill()
        codes = [process.wait() for process in processes]
        if shards == 4:
            codes[0] = subprocess.run(lines[0], check=False, capture_output=True).returncode
        found[f"{shards} shards, ended with {codes}"] = rows_digest(output)
    for what, value in found.items():
        print(f"{what}: {value}", flush=True)
    is_same = set(found.values()) == {expected} and expected[0] == expected[1] == len(list(photos.iterdir()))
    print(f"{struck} of {kills} kills struck; {'all the same' if is_same else 'DIFFERENT'}")
    return 0 if is_same and struck == kills else 1


if __name__ == "__main__":
    run(main)
