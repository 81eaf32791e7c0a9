"""Reads metrics.csv, the table of a run's epochs, back."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssd_edge.core.errors import ArtefactError, InputError
from ssd_edge.training.journal import EpochRecord


def read_metrics(path: Path) -> list[EpochRecord]:
    """Return the epochs of a run, in the order of the file.

    Raises:
        InputError: the file cannot be read.
        ArtefactError: it is no table of epochs, or has none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            records = [_record(row) for row in csv.DictReader(file)]
    except OSError as error:
        raise InputError(f"{path} cannot be read", got=error.strerror or str(error), wanted="metrics.csv") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise ArtefactError(
            f"{path} is no table of epochs", got=str(error), wanted="a file that train wrote"
        ) from error
    if not records:
        raise ArtefactError(f"{path} has no epoch", wanted="one line or more below the heading")
    return records


def _record(row: Mapping[str, str]) -> EpochRecord:
    fields = dataclasses.fields(EpochRecord)
    values: dict[str, Any] = {field.name: _value(row[field.name], str(field.type)) for field in fields}
    return EpochRecord(**values)


def _value(cell: str, kind: str) -> int | float | None:
    """Return the cell as the field's type, which is a name as the module's annotations are not evaluated."""
    if kind == "int":
        return int(cell)
    return None if cell == "" and "None" in kind else float(cell)
