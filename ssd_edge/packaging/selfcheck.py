"""Run a packaged model on its image and compare the detections with those that were packed with it.

    python3 selfcheck.py                                       every check beside this file, with ONNX Runtime
    python3 selfcheck.py --runtime openvino
    python3 selfcheck.py --runtime triton --url localhost:8001

It needs NumPy, OpenCV or Pillow, and the runtime; nothing of ssd-edge. For OpenVINO it needs onnx, too, where the model
is the exported file itself (of Triton's ONNX Runtime, or of a board), which calls its NMS as a function. It ends with 0
where all detections are there and no others, and with 1 otherwise; a check that cannot be made is named on stderr, and
the others go on. An engine in half precision or INT8 differs by more than the model itself: give it
``--box-tolerance 0.02 --score-tolerance 0.05``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Row = tuple[float, float, float, float, float, float]
"""Class, score, x1, y1, x2, y2; corners in 0..1 of the image."""

_NMS_DOMAIN = b"trt.plugins"
FLOAT_NCHW, FRIGATE_SSD, FRIGATE_YOLONAS = "float-nchw", "frigate-ssd", "frigate-yolonas"
_UNPACK = "Unpack the whole package again."
_LONGEST = 300  # letters of what a runtime says


class CheckError(Exception):
    """A check that cannot be made: what was got and wanted, and what to do, in one line."""

    def __init__(self, got: str, wanted: str, do: str) -> None:
        super().__init__(f"got {' '.join(got.split())[:_LONGEST]}; wanted {wanted}. {do}")


def input_of(form: str, image: Array) -> Array:
    """Return an (H, W, 3) uint8 BGR image of the network's size as a model of this form takes it."""
    if form == FLOAT_NCHW:
        return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
    return image[None]


def rows_of(form: str, outputs: Sequence[Array], size: tuple[int, int]) -> list[Row]:
    """Return the detections of one image, as the host reads them.

    Args:
        form: of the model.
        outputs: of the model, for one image.
        size: width and height of its input.
    """
    if form in (FRIGATE_SSD, FRIGATE_YOLONAS):
        table = np.asarray(outputs[0]).reshape(-1, 7)
        width, height = size
        if form == FRIGATE_SSD:
            return [(row[1], row[2], *row[3:]) for row in table.tolist() if row[2] > 0]
        return [
            (row[6], row[5], row[1] / width, row[2] / height, row[3] / width, row[4] / height)
            for row in table.tolist()
            if row[6] >= 0
        ]
    count = int(np.asarray(outputs[0]).reshape(-1)[0])
    boxes, scores, classes = (np.asarray(part)[0, :count].tolist() for part in outputs[1:])
    return [(kind, score, *box) for kind, score, box in zip(classes, scores, boxes, strict=True)]


def differences(wanted: Sequence[Row], found: Sequence[Row], floor: float, box: float, score: float) -> list[str]:
    """Return in words what is missing, what is too much, and what is elsewhere; empty where nothing is.

    Args:
        wanted: the detections that score more than the floor.
        found: those of the model.
        floor: a score; what scores less is not compared.
        box: how far a corner may be off, as a fraction of the image.
        score: how far a score may be off.
    """
    free = [row for row in found if row[1] > floor - score]
    faults = []
    for row in wanted:
        near = [(max(abs(a - b) for a, b in zip(row[2:], other[2:], strict=True)), other) for other in free]
        off, partner = min((entry for entry in near if entry[1][0] == row[0]), default=(np.inf, None))
        if partner is None or off > box:
            faults.append(f"missing: {_words(row)}")
            continue
        free.remove(partner)
        if abs(partner[1] - row[1]) > score:
            faults.append(f"score {partner[1]:.4f} for {_words(row)}")
    return faults + [f"too much: {_words(row)}" for row in free if row[1] > floor + score]


def _words(row: Row) -> str:
    return f"class {row[0]:.0f}, score {row[1]:.4f}, box {', '.join(f'{side:.4f}' for side in row[2:])}"


def read_image(path: Path) -> Array:
    """Return an image as (H, W, 3) uint8 BGR."""
    try:
        import cv2
    except ImportError:
        from PIL import Image

        return np.asarray(Image.open(path).convert("RGB"))[..., ::-1]
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise OSError("no image")
    return np.asarray(image, np.uint8)


@contextmanager
def no_telemetry() -> Iterator[None]:
    """Import ONNX Runtime or OpenVINO inside the block, and neither records or sends that it was imported."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]  # its model converter sends
    yield


def _onnxruntime(model: Path, check: Mapping[str, Any], tensor: Array, _: str) -> list[Array]:
    with no_telemetry():
        import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=onnxruntime.get_available_providers())
    return list(session.run(check["outputs"], {check["input"]: tensor}))


def _openvino(model: Path, check: Mapping[str, Any], tensor: Array, _: str) -> list[Array]:
    with no_telemetry():
        import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(_inlined(model)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({check["input"]: tensor})
    return [np.asarray(found[compiled.output(name)]) for name in check["outputs"]]


def _inlined(model: Path) -> bytes:
    """Return a model with its functions written out: OpenVINO reads none, and would take the NMS for a plugin."""
    data = model.read_bytes()
    if _NMS_DOMAIN not in data:
        return data
    import onnx
    import onnx.inliner

    written: bytes = onnx.inliner.inline_local_functions(onnx.load_from_string(data)).SerializeToString()
    return written


def _triton(_: Path, check: Mapping[str, Any], tensor: Array, url: str) -> list[Array]:
    from tritonclient import grpc

    entry = grpc.InferInput(check["input"], list(tensor.shape), "FP32" if tensor.dtype == np.float32 else "UINT8")
    entry.set_data_from_numpy(tensor)
    wanted = [grpc.InferRequestedOutput(name) for name in check["outputs"]]
    answer = grpc.InferenceServerClient(url).infer(check["name"], [entry], outputs=wanted)
    return [answer.as_numpy(name) for name in check["outputs"]]


_PIP = {"PIL": "opencv-python", "tritonclient": "'tritonclient[grpc]'"}
RUNTIMES = {"onnxruntime": _onnxruntime, "openvino": _openvino, "triton": _triton}


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", type=Path, metavar="CHECK", help="JSON files (default: all beside this)")
    parser.add_argument("--runtime", choices=RUNTIMES, default="onnxruntime")
    parser.add_argument("--model", type=Path, help="another file of the same model (default: the packaged one)")
    parser.add_argument("--name", help="of the model on a Triton server (default: the packaged one)")
    parser.add_argument("--url", default="localhost:8001", help="of a Triton server's gRPC port")
    parser.add_argument("--box-tolerance", type=float, metavar="SHARE", help="of the image (default: as packed)")
    parser.add_argument("--score-tolerance", type=float, metavar="SCORE", help="(default: as packed)")
    return parser.parse_args(words)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < np.inf


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_rows(value: object) -> bool:
    rows = value if isinstance(value, list) else [value]
    return all(isinstance(row, list) and len(row) == 6 and all(map(_is_number, row)) for row in rows)


_FIELDS = {
    **dict.fromkeys(("image", "model", "name", "form", "input"), (_is_text, "a text")),
    **dict.fromkeys(("floor", "box_tolerance", "score_tolerance"), (_is_number, "a number")),
    "outputs": (_are_names, "a list of names"),
    "detections": (_are_rows, "a list of rows of six numbers"),
}


def _read_check(path: Path) -> dict[str, Any]:
    """Return the fields of a check; CheckError where one that is read is missing, or is of another kind."""
    try:
        check = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckError(str(error.strerror), "a file of JSON", _UNPACK) from error
    except (ValueError, RecursionError) as error:
        raise CheckError(f"{type(error).__name__}: {error}", "JSON as it was packed", _UNPACK) from error
    if not isinstance(check, dict):
        raise CheckError(f"a {type(check).__name__}", "an object of JSON", _UNPACK)
    for name, (is_valid, kind) in _FIELDS.items():
        if name not in check:
            raise CheckError(f"no {name}", kind, _UNPACK)
        if not is_valid(check[name]):
            raise CheckError(f"{check[name]!r:.80} as its {name}", kind, _UNPACK)
    return check


def _image_of(path: Path) -> Array:
    try:
        return read_image(path)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # OpenCV and Pillow have no common base
        reason = getattr(error, "strerror", None) or error
        raise CheckError(f"{path} ({reason})", "the packaged image", _UNPACK) from error


def _faults(path: Path, options: argparse.Namespace) -> tuple[int, list[str]]:
    """Return how many detections there should be, and what is wrong with those that there are."""
    check = _read_check(path)
    check["name"] = options.name or check["name"]
    image = _image_of(path.parent / check["image"])
    model = options.model or path.parent / check["model"]
    box = check["box_tolerance"] if options.box_tolerance is None else options.box_tolerance
    score = check["score_tolerance"] if options.score_tolerance is None else options.score_tolerance
    wanted = [tuple(row) for row in check["detections"]]
    try:
        outputs = RUNTIMES[options.runtime](model, check, input_of(check["form"], image), options.url)
        found = rows_of(check["form"], outputs, (image.shape[1], image.shape[0]))
        return len(wanted), differences(wanted, found, check["floor"], box, score)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # a damaged file, or a runtime, which raises whatever it meets
        raise _no_detections(f"{type(error).__name__}: {error}", model, check["name"], options) from error


def _no_detections(got: str, model: Path, name: str, options: argparse.Namespace) -> CheckError:
    if options.runtime == "triton":
        do = "Start the server with this package's models, or name its port with --url and the model with --name."
        return CheckError(got, f"detections of {name} from {options.url}", do)
    do = f"Unpack the whole package again; if that does not help, install {options.runtime} again."
    return CheckError(got, f"detections of {model} by {options.runtime}", do)


def main(words: Sequence[str] | None = None) -> int:
    """Run the checks and return the exit code."""
    options = _options(words)
    folder = Path(__file__).resolve().parent
    checks = options.checks or sorted(folder.glob("*.json"))
    if not checks:
        sys.exit(f"selfcheck.py: there is no check in {folder}: unpack the whole package, or name a JSON file")
    failed = False
    for path in checks:
        try:
            count, faults = _faults(path, options)
        except ModuleNotFoundError as error:
            name = str(error.name)
            sys.exit(f"selfcheck.py: {name} is not installed: pip install {_PIP.get(name, name)}")
        except CheckError as error:
            print(f"selfcheck.py: {path} cannot be checked: {error}", file=sys.stderr)
            failed = True
            continue
        failed = failed or bool(faults)
        print(f"{path.stem}: {f'{len(faults)} differences' if faults else f'the same {count} detections'}")
        for fault in faults:
            print(f"  {fault}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
