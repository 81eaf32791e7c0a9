"""Processor time of a message, and the frame rate while the broker is stopped.

python -m tests.streaming.mqtt.cost
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from ssd_edge.core.detections import Detections
from ssd_edge.core.shutdown import StopRequest
from ssd_edge.streaming.mqtt.broker import Broker
from ssd_edge.streaming.mqtt.publisher import MqttPublisher
from ssd_edge.streaming.sinks.base import Sink
from ssd_edge.workflows.run_streams import run_streams
from tests.backends.tiny_onnx import write_tiny_onnx
from tests.streaming.films import frame_at, write_bright_film
from tests.streaming.mqtt.mosquitto import free_port, serving, wait_for

ROUNDS, FRAMES, RATE, WINDOW_S = 9, 200, 100.0, 2.0
BOXES = Detections(
    np.array([[8, 8, 40, 40]] * 3, np.float32), np.full(3, 0.5, np.float32), np.ones(3, np.int64), ("cat", "dog")
)


def processor_s(sink: Sink | None) -> float:
    """Seconds of processor time of all threads for a frame, at a camera's pace."""
    began, due = time.process_time(), time.monotonic()
    for index in range(FRAMES):
        frame = frame_at(time.monotonic(), index)
        if sink is not None:
            sink.write(frame, BOXES)
        due += 1 / RATE
        time.sleep(max(0.0, due - time.monotonic()))
    return (time.process_time() - began) / FRAMES


def cost(port: int) -> None:
    publisher = MqttPublisher(Broker("127.0.0.1", port))
    sink = publisher.sink("gate")
    publisher.start()
    wait_for(lambda: publisher.delivery.is_connected)
    rounds = [1e6 * (processor_s(sink) - processor_s(None)) for _ in range(ROUNDS)]
    publisher.close()
    spread = f"{min(rounds):.0f} to {max(rounds):.0f}"
    sys.stdout.write(f"{statistics.median(rounds):.0f} us for a message ({spread}), {publisher.delivery}\n")


def frame_rates(folder: Path, port: int, broker: subprocess.Popen[str]) -> None:
    counts, stop = [0], StopRequest()
    model = write_tiny_onnx(folder / "bright.onnx")
    source = write_bright_film(folder / "gate.mp4", 100)
    thread = threading.Thread(
        target=lambda: run_streams(
            source,
            model,
            mqtt=f"mqtt://127.0.0.1:{port}",
            loop=True,
            stop=stop,
            progress=lambda event: counts.__setitem__(0, max(counts[0], event.done)),
        )
    )
    thread.start()
    wait_for(lambda: counts[0] > 100)
    rates: dict[signal.Signals, list[float]] = {signal.SIGCONT: [], signal.SIGSTOP: []}
    for _ in range(ROUNDS):
        for number, found in rates.items():
            broker.send_signal(number)
            before, began = counts[0], time.monotonic()
            time.sleep(WINDOW_S)
            found.append((counts[0] - before) / (time.monotonic() - began))
    stop.request()
    began = time.monotonic()
    thread.join()
    for number, found in rates.items():
        sys.stdout.write(
            f"after {number.name}: {statistics.median(found):.0f} FPS, {[round(rate) for rate in found]}\n"
        )
    sys.stdout.write(f"the run ended in {time.monotonic() - began:.2f} s, with the broker stopped\n")


def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as name, serving(Path(name), port) as broker:
        cost(port)
        frame_rates(Path(name), port, broker)


if __name__ == "__main__":
    main()
