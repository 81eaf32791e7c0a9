"""Rows of the result: an image each, as columns of Parquet; a part is one file of some groups of rows."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import ArtifactError, InputError, one_line, write_remedy
from ssd_edge.core.files import flush_file, flush_names
from ssd_edge.core.frame import FloatArray

if TYPE_CHECKING:
    import pyarrow

FINGERPRINT_KEY, DEVICE_KEY, WORKER_KEY = b"ssd_edge.fingerprint", b"ssd_edge.device", b"ssd_edge.worker"
_PARTIAL = ".partial"
_PARTIAL_NAME = re.compile(r"\.part-\d+\.(?P<host>.+)\.(?P<pid>\d+)\.[0-9a-f]+\.partial")


@dataclass
class Rows:
    """The images of a unit, in their order.

    Attributes:
        ids, paths: of each image.
        sizes: (width, height) in pixels; None of one that cannot be read.
        found: its detections; none of one that cannot be read.
        errors: why it cannot be read; None of one that can.
    """

    ids: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int] | None] = field(default_factory=list)
    found: list[Detections] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, other: Rows) -> None:
        """Append the rows of another."""
        for mine, more in zip(self._columns(), other._columns(), strict=True):
            mine.extend(more)

    def _columns(self) -> tuple[list[Any], ...]:
        return self.ids, self.paths, self.sizes, self.found, self.errors

    @property
    def error_count(self) -> int:
        """Images that cannot be read."""
        return sum(error is not None for error in self.errors)


def table_of(rows: Rows, model: str, class_names: tuple[str, ...]) -> pyarrow.Table:
    """Return the rows as a table with the columns of ``docs/label.md``."""
    import pyarrow as pa

    counts = np.array([len(found) for found in rows.found], np.int32)
    offsets = _arrow(pa.int32(), np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(found.boxes for found in rows.found)])
    scores = np.concatenate([np.zeros(0, np.float32), *(found.scores for found in rows.found)])
    class_ids = np.concatenate([np.zeros(0, np.int64), *(found.class_ids for found in rows.found)])
    corners = _arrow(pa.int32(), np.arange(0, boxes.size + 1, 4, dtype=np.int32))
    edges = pa.ListArray.from_arrays(corners, _arrow(pa.float32(), boxes.ravel()))
    labels = pa.array([class_names[number] for number in class_ids.tolist()], pa.string())
    return pa.table(
        {
            "id": pa.array(rows.ids, pa.string()),
            "path": pa.array(rows.paths, pa.string()),
            "width": pa.array([size and size[0] for size in rows.sizes], pa.int32()),
            "height": pa.array([size and size[1] for size in rows.sizes], pa.int32()),
            "boxes": pa.ListArray.from_arrays(offsets, edges),
            "scores": pa.ListArray.from_arrays(offsets, _arrow(pa.float32(), scores)),
            "classes": pa.ListArray.from_arrays(offsets, labels),
            "model": pa.array([model] * len(rows), pa.string()),
            "error": pa.array(rows.errors, pa.string()),
        }
    )


def _arrow(kind: Any, values: npt.NDArray[Any]) -> Any:
    """Return numbers as an Arrow array; ``pyarrow.array`` would import pandas and more, where they are installed."""
    import pyarrow as pa

    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


class PartWriter:
    """Writes the rows of a unit group by group; its part is whole or absent, whatever else writes it just now.

    Args:
        path: of the part.
        metadata: what it says of itself; the machine and process that make it are added.
    """

    def __init__(self, path: Path, metadata: Mapping[bytes, bytes]) -> None:
        worker = f"{socket.gethostname()}.{os.getpid()}"
        self._path, self._metadata = path, {**metadata, WORKER_KEY: worker.encode()}
        self._partial = path.with_name(f".{path.stem}.{worker}.{uuid4().hex[:8]}{_PARTIAL}")
        self._file: Any = None

    def add(self, table: pyarrow.Table) -> None:
        """Append rows.

        Raises:
            InputError: the folder cannot be written.
        """
        from pyarrow import parquet

        table = table.replace_schema_metadata(self._metadata)
        with self._named_errors():
            if self._file is None:
                self._file = parquet.ParquetWriter(self._partial, table.schema, compression="zstd")
            self._file.write_table(table)

    def finish(self) -> None:
        """Let the part be there; after :meth:`add`.

        Raises:
            InputError: the folder cannot be written.
        """
        with self._named_errors():
            self._file.close()
            flush_file(self._partial)
            self._partial.replace(self._path)
            flush_names(self._path.parent)

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._partial.unlink(missing_ok=True)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self._path.exists():
                return  # another process has written it, and tidied up
            raise InputError(
                f"{self._path} cannot be written ({error.strerror or error})",
                do=f"{write_remedy(error)} The same command then continues the job.",
            ) from error


def remove_partials(folder: Path, *, everyones: bool) -> None:
    """Remove what ended processes of this machine, or any, left half written."""
    mine = socket.gethostname()
    for path in folder.glob(f".part-*{_PARTIAL}"):
        match = _PARTIAL_NAME.fullmatch(path.name)
        if match and (everyones or (match["host"] == mine and not Path(f"/proc/{match['pid']}").exists())):
            with suppress(OSError):
                path.unlink()


def read_groups(path: Path, fingerprint: str, columns: Sequence[str] | None = None) -> Iterator[pyarrow.Table]:
    """Yield the rows of a part, a group at a time; all columns, or some.

    Raises:
        ArtifactError: it is damaged, or of another job.
    """
    from pyarrow import ArrowException, parquet

    anew = "Delete it; the same command then writes it again."
    try:
        with parquet.ParquetFile(path) as file:
            if (file.schema_arrow.metadata or {}).get(FINGERPRINT_KEY) != fingerprint.encode():
                raise ArtifactError(f"{path} belongs to another job", do=anew)
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, columns, use_threads=False)
    except (ArrowException, OSError) as error:
        raise ArtifactError(f"{path} is damaged", got=one_line(error), do=anew) from error


def read_device(path: Path) -> str:
    """Return the kind of processor or GPU that made a part."""
    from pyarrow import parquet

    found: bytes = (parquet.read_schema(path).metadata or {}).get(DEVICE_KEY, b"")
    return found.decode()


@dataclass(frozen=True, eq=False)
class Part:
    """The columns of a part as arrays: the boxes of image i are ``boxes[starts[i]:starts[i + 1]]``.

    Attributes:
        sizes: (N, 2) int32, width and height of each image; 0 of one that cannot be read.
        starts: (N + 1,) int32.
        boxes: (M, 4) float32; scores: (M,) float32; labels: of each box.
    """

    ids: list[str]
    paths: list[str]
    errors: list[str | None]
    sizes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    boxes: FloatArray
    scores: FloatArray
    labels: list[str]

    @classmethod
    def of(cls, table: pyarrow.Table) -> Part:
        """Take a table's columns apart."""
        columns = {name: table.column(name).combine_chunks() for name in table.column_names}
        sizes = [columns[name].fill_null(0).to_numpy(zero_copy_only=False) for name in ("width", "height")]
        scores, boxes = columns["scores"], columns["boxes"]
        return cls(
            ids=columns["id"].to_pylist(),
            paths=columns["path"].to_pylist(),
            errors=columns["error"].to_pylist(),
            sizes=np.stack(sizes, axis=1),
            starts=scores.offsets.to_numpy() - int(scores.offsets[0].as_py()),
            boxes=boxes.flatten().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4),
            scores=scores.flatten().to_numpy(zero_copy_only=False),
            labels=columns["classes"].flatten().to_pylist(),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def spans(self) -> Iterator[tuple[int, slice]]:
        """Yield the number of each image and the place of its boxes."""
        starts = self.starts.tolist()
        for number, (start, end) in enumerate(pairwise(starts)):
            yield number, slice(start, end)


class RowsDigest:
    """``sha256:…`` of rows in their order: boxes to 1/100 pixel, scores to 1e-4, sizes, labels, what is an error."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, part: Part) -> None:
        """Take the rows of a part."""
        boxes = np.rint(part.boxes.astype(np.float64) * 100).astype("<i8")
        scores = np.rint(part.scores.astype(np.float64) * 10_000).astype("<i4")
        for number, span in part.spans():
            failed = part.errors[number] is not None
            self._digest.update(f"{part.ids[number]}\0".encode())
            self._digest.update(struct.pack("<iiiB", *part.sizes[number].tolist(), span.stop - span.start, failed))
            self._digest.update(boxes[span].tobytes() + scores[span].tobytes())
            self._digest.update("\0".join(part.labels[span]).encode())

    def __str__(self) -> str:
        return f"sha256:{self._digest.hexdigest()}"
