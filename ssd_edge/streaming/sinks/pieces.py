"""Outputs that are cut into pieces: when one ends, what it is called, and which of the old ones go."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock

from ssd_edge.core.errors import InputError
from ssd_edge.core.log import log

_STAMP = "%Y%m%dT%H%M%SZ"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
_DAY_S = 86400.0
_CUT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


@dataclass(frozen=True)
class Cut:
    """When a piece ends and the next begins.

    Attributes:
        seconds: at every multiple of this many seconds on the clock (UTC): pieces of an hour begin on the hour.
        size: once a piece has this many bytes.
    """

    seconds: float | None = None
    size: int | None = None

    @classmethod
    def parse(cls, text: str) -> Cut:
        """Return what is asked for as ``30s``, ``10m``, ``1h``, ``1d``, ``500MB`` or ``2GB``.

        Raises:
            InputError: it is something else, or less than a second or a kilobyte.
        """
        match = _CUT.fullmatch(text.strip())
        number, unit = (float(match[1]), match[2]) if match else (0.0, "")
        if number > 0 and unit.lower() in _SECONDS and number * _SECONDS[unit.lower()] >= 1:
            return cls(seconds=number * _SECONDS[unit.lower()])
        if number > 0 and unit.upper() in _BYTES and number * _BYTES[unit.upper()] >= _BYTES["KB"]:
            return cls(size=int(number * _BYTES[unit.upper()]))
        raise InputError(
            f"--cut {text} is not a time or a size", wanted="a time or a size, such as 10m, 1h, 1d, 500MB or 2GB"
        )

    def is_due(self, began: float, now: float, size: int) -> bool:
        """Return whether a piece ends.

        Args:
            began: when its first frame came, in seconds since 1970.
            now: when the next frame came.
            size: bytes that it has.

        A clock that is set back by more than a piece ends it, too; by less, the piece is that much longer.
        """
        if self.size is not None:
            return size >= self.size
        if self.seconds is None:
            return False
        was_set_back = began - now > self.seconds  # the clock: without a battery many boards begin with a wrong one
        return was_set_back or now // self.seconds > began // self.seconds


@dataclass(frozen=True)
class _Piece:
    stamp: str
    path: Path


class Retention:
    """Removes the oldest pieces of all outputs of a run, where they are too old or too many; says so.

    Only files that are called as pieces of a registered output are ever touched, those of earlier runs included, and
    never the piece of an output that is growing, nor the newest, whatever their names say: clocks are set back.

    Args:
        days: pieces that began longer ago go.
        gigabytes: the oldest pieces go until all that are left have no more bytes, in 10**9.
    """

    def __init__(self, days: float | None = None, gigabytes: float | None = None) -> None:
        self._days, self._gigabytes = days, gigabytes
        self._outputs: list[Path] = []
        self._growing: dict[Path, Path] = {}
        self._lock = Lock()

    def register(self, output: Path) -> None:
        """Look after the pieces of an output."""
        with self._lock:
            if output not in self._outputs:
                self._outputs.append(output)

    def enforce(self, output: Path, piece: Path) -> None:
        """Remove what must go now that ``output`` goes on in ``piece``; what cannot be removed is named and stays."""
        if self._days is None and self._gigabytes is None:
            return
        with self._lock:
            self._growing[output] = piece
            try:
                old, stay = self._pieces()
            except OSError as error:  # a folder that has gone: the next write will say so
                log.warning(f"the old files of {output} cannot be listed ({error.strerror or error})")
                return
            self._remove_surplus(old, stay, time.time())

    def _remove_surplus(self, old: Sequence[_Piece], stay: Sequence[_Piece], now: float) -> None:
        """Remove pieces, oldest first; one that cannot be removed still takes its room, and a younger one goes."""
        sizes = {piece.path: _size(piece.path) for piece in (*old, *stay)}
        total = sum(sizes.values())
        for piece in old:
            reason = self._reason(piece, total, now)
            if reason and _remove(piece.path, reason):
                total -= sizes[piece.path]

    def _reason(self, piece: _Piece, total: int, now: float) -> str:
        """Return why a piece must go where all have ``total`` bytes; empty where it may stay."""
        if self._days is not None and now - _seconds(piece.stamp) > self._days * _DAY_S:
            return f"it began more than {self._days:g} days ago"
        if self._gigabytes is not None and total > self._gigabytes * 10**9:
            return f"the pieces had more than {self._gigabytes:g} GB"
        return ""

    def _pieces(self) -> tuple[list[_Piece], list[_Piece]]:
        """Return the pieces that may go, oldest first, and those of each output that stay: the newest, the growing."""
        old: list[_Piece] = []
        stay: list[_Piece] = []
        for output in self._outputs:
            pieces = sorted(_pieces_of(output), key=_age)
            growing = self._growing.get(output)
            old += [piece for piece in pieces[:-1] if piece.path != growing]
            stay += [piece for piece in pieces[:-1] if piece.path == growing] + pieces[-1:]
        return sorted(old, key=_age), stay


def piece_path(output: Path, now: float, last: Path | None = None) -> Path:
    """Return a free name for the piece of ``output`` that begins ``now``: ``cam-20261130T120000Z.mkv``.

    Of several pieces in a second the later ones have a number, higher than that of ``last``, the piece before.
    """
    stamp = datetime.fromtimestamp(now, timezone.utc).strftime(_STAMP)
    stem = f"{output.stem}-{stamp}"
    number = 1
    if last is not None and last.stem.startswith(stem):
        number = int(last.stem[len(stem) + 1 :] or 1) + 1
    while True:
        path = output.with_name(f"{stem}{f'-{number}' if number > 1 else ''}{output.suffix}")
        if not path.exists():
            return path
        number += 1


def _pieces_of(output: Path) -> Iterator[_Piece]:
    name = re.compile(rf"{re.escape(output.stem)}-(\d{{8}}T\d{{6}}Z(?:-\d+)?){re.escape(output.suffix)}")
    for path in output.parent.iterdir():
        if (match := name.fullmatch(path.name)) is not None:
            yield _Piece(match[1], path)


def _age(piece: _Piece) -> tuple[str, int]:
    stamp, _, number = piece.stamp.partition("-")
    return stamp, int(number or 1)


def _seconds(stamp: str) -> float:
    began = datetime.strptime(stamp.partition("-")[0], _STAMP)
    return began.replace(tzinfo=timezone.utc).timestamp()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # someone else has removed it
        return 0


def _remove(path: Path, reason: str) -> bool:
    """Remove a file, or say that it cannot be; return whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning(f"{path} should be deleted ({reason}), but cannot be ({error.strerror or error})")
        return False
    log.info(f"deleted {path}: {reason}")
    return True
