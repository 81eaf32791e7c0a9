"""A long run of four sources with all outputs on, watched from outside: memory, descriptors, threads.

    python -m tests.streaming.soak [--frames 100000] [--settle 5000] [--swap]

The real command plays four videos as fast as it can, to lines, videos in pieces of which the old ones go, and pages
with a viewer each. Once ``--settle`` frames are done, resident memory, descriptors and threads are looked at twice a
second. It ends with 1 where memory has grown by 1 % or more (median of the last tenth against that of the first), the
usual number of descriptors or threads has changed, or a line is missing. ``--swap`` has the engine replaced ten times,
each of which costs some hundred kilobytes of memory that the system's allocator keeps in pieces.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.backends.tiny_onnx import write_tiny_onnx
from tests.processes import running
from tests.streaming.films import write_bright_film

ROOT = Path(__file__).parents[2]
SOURCES, FILM_FRAMES, SWAPS = 4, 300, 10
GROWTH = 0.01
LOOK_S = 0.5


@dataclass(frozen=True)
class Sample:
    frames: int
    memory_kb: int
    descriptors: int
    threads: int


def streams_file(folder: Path, frames: int, ports: list[int]) -> Path:
    text = 'format = "ssd-edge/streams/1"\n[engine]\noptimize_for = "latency"\nmax_batch = 4\n'
    for number, port in enumerate(ports):
        film = write_bright_film(folder / f"video{number}.mp4", FILM_FRAMES)
        text += (
            f'[[stream]]\nname = "{number}"\nsource = "{film}"\nloop = true\nmax_frames = {frames // SOURCES}\n'
            f'json = "{folder}/lines/{number}.jsonl"\noutput = "{folder}/videos/{number}.mkv"\nserve = "{port}"\n'
            'cut = "200KB"\nkeep_gb = 0.004\nfsync = 5.0\n'
        )
    path = folder / "streams.toml"
    path.write_text(text)
    return path


def free_ports(count: int) -> list[int]:
    holders = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(holder.getsockname()[1]) for holder in holders]
    for holder in holders:
        holder.close()
    return ports


def watch(port: int) -> None:
    """Look at a page's video until it ends."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/stream.mjpg", timeout=60) as page:
        while page.read(1 << 16):
            pass


def lines_of(folder: Path) -> int:
    """Lines that were written, by the number of the last of each stream."""
    found = 0
    for number in range(SOURCES):
        pieces = sorted(folder.glob(f"{number}-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        whole = pieces[-1].read_bytes().split(b"\n")[:-1] if pieces else []
        if not whole and len(pieces) > 1:
            whole = pieces[-2].read_bytes().split(b"\n")[:-1]
        found += json.loads(whole[-1])["seq"] + 1 if whole else 0
    return found


def sample(process: int, folder: Path) -> Sample:
    status = Path(f"/proc/{process}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    descriptors = len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208
    return Sample(lines_of(folder), int(fields["VmRSS"].split()[0]), descriptors, int(fields["Threads"]))


def look(run: subprocess.Popen[str], folder: Path, frames: int, settle: int, model: Path | None) -> list[Sample]:
    """Samples until the run ends; with a model, the engine is replaced now and then."""
    found: list[Sample] = []
    swaps = [settle + (frames - settle) * number // (SWAPS + 1) for number in range(1, SWAPS + 1)] if model else []
    while run.poll() is None:
        time.sleep(LOOK_S)
        with suppress(OSError, KeyError):
            now = sample(run.pid, folder / "lines")
            if settle <= now.frames < frames - frames // 50:
                found.append(now)
            if model is not None and swaps and now.frames >= swaps[0]:
                del swaps[0]
                write_tiny_onnx(model, shift=0.01 * len(swaps))
                run.send_signal(signal.SIGUSR1)
    return found


def judge(samples: list[Sample]) -> list[str]:
    """Return what has grown, and print the figures."""
    share = max(3, len(samples) // 10)
    if len(samples) < 2 * share:
        return [f"only {len(samples)} samples: more frames are needed"]
    first, last = samples[:share], samples[-share:]
    course = [samples[place : place + share] for place in range(0, len(samples) - share + 1, share)]
    medians = (statistics.median(one.memory_kb for one in part) / 1024 for part in course)
    print(f"MiB by tenths: {', '.join(f'{median:.1f}' for median in medians)}")
    memory = [statistics.median(one.memory_kb for one in part) / 1024 for part in (first, last)]
    growth = memory[1] / memory[0] - 1
    print(f"memory {memory[0]:.1f} -> {memory[1]:.1f} MiB, {growth:+.2%} (limit {GROWTH:.0%}), {len(samples)} samples")
    wrong = [f"memory has grown by {growth:.2%}"] if growth >= GROWTH else []
    for name in ("descriptors", "threads"):
        usual = [Counter(getattr(one, name) for one in part).most_common(1)[0][0] for part in (first, last)]
        most = max(getattr(one, name) for one in samples)
        print(f"{name} {usual[0]} -> {usual[1]}, {most} at most")
        wrong += [f"{name}: {usual[1]} after {usual[0]}"] if usual[1] > usual[0] else []
    return wrong


def soak(frames: int, settle: int, *, swap: bool = False) -> list[str]:
    """Do it, and return what was wrong."""
    with tempfile.TemporaryDirectory() as name:
        folder, ports = Path(name), free_ports(SOURCES)
        model = write_tiny_onnx(folder / "bright.onnx")
        file = streams_file(folder, frames, ports)
        command = [sys.executable, "-m", "ssd_edge", "run", "--config", str(file), "--model", str(model)]
        began = time.monotonic()
        with running(command, limit_s=7200, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as run:
            said: list[str] = []
            reader = threading.Thread(target=lambda: said.extend(run.stderr or ()), daemon=True)
            reader.start()
            time.sleep(3.0)
            for port in ports:
                threading.Thread(target=watch, args=(port,), daemon=True).start()
            samples = look(run, folder, frames, settle, model if swap else None)
            reader.join(10)
        took = time.monotonic() - began
        wrong = judge(samples)
        done = lines_of(folder / "lines")
        print(f"{done} of {frames // SOURCES * SOURCES} frames in {took:.0f} s, {done / took:.0f} a second")
        if done != frames // SOURCES * SOURCES:
            wrong.append(f"{done} lines")
        if run.returncode != 0 or any("Traceback" in line for line in said):
            wrong.append(f"exit code {run.returncode}: {''.join(said)[-2000:]}")
        if swap and (swaps := sum("the engine is now" in line for line in said)) != SWAPS:
            wrong.append(f"{swaps} of {SWAPS} engines took over")
        kept = sum(path.stat().st_size for path in folder.rglob("*-*Z*"))
        print(f"{kept / 1e6:.1f} MB of pieces are left")
        if kept > 1.3 * 4e6:
            wrong.append(f"{kept / 1e6:.1f} MB of pieces are left, of 4 MB that may stay")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--settle", type=int, default=5_000)
    parser.add_argument("--swap", action="store_true")
    asked = parser.parse_args()
    wrong = soak(asked.frames, asked.settle, swap=asked.swap)
    print(*wrong, "MISSED" if wrong else "holds", sep="\n")
    sys.exit(bool(wrong))
