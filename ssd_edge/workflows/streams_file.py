"""``streams.toml``: the sources of a fixed installation, each with its outputs and options."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ssd_edge.core.config import AnyPath, config_from
from ssd_edge.core.errors import InputError
from ssd_edge.core.text_parsers import parse_toml
from ssd_edge.workflows.stream_config import RunConfig, StreamConfig
from ssd_edge.workflows.stream_plan import Sources, StreamPlan, means_folder, with_own_lines

FORMAT = "ssd-edge/streams/1"
ENGINE_FIELDS = ("max_batch", "batch_wait_ms", "hang_timeout", "optimize_for", "device", "metrics", "mqtt")
"""Fields of the config that all streams share: keys of ``[engine]``, besides ``model``."""

_NAMES = {"json": "json_path", "threshold": "score_threshold"}  # as the options of the command are called
STREAM_FIELDS = tuple(entry.name for entry in fields(RunConfig) if entry.name not in (*ENGINE_FIELDS, "window"))
"""Fields of the config that each stream has of its own: keys of ``[defaults]`` and ``[[stream]]``."""


@dataclass(frozen=True)
class StreamsFile:
    """Contents of a ``streams.toml``.

    Attributes:
        path: the file.
        model: of ``[engine]``; None for the workspace's current engine.
        config: what all streams share.
        plans: the streams.
    """

    path: Path
    model: Path | None
    config: RunConfig
    plans: tuple[StreamPlan, ...]


def read_streams_file(
    path: AnyPath,
    sources: Sources | None = None,
    model: AnyPath | None = None,
    config: StreamConfig | None = None,
    options: Mapping[str, Any] | None = None,
) -> StreamsFile:
    """Return what the file says; sources, model and options belong into it, and are refused beside it.

    Raises:
        InputError: it cannot be read, is not valid TOML, or has a key or value that is not allowed.
    """
    if sources is not None or config is not None or options:
        raise InputError(
            "--config cannot be combined with sources or options",
            got=", ".join(options or {}) or ("a config" if config is not None else "a source"),
            do=f"Write them into {path}.",
        )
    place = Path(path)
    table = _parsed(place)
    _check_keys(place, "", table, ("format", "engine", "defaults", "stream"))
    if table.get("format") != FORMAT:
        raise InputError(
            f"{place} is not a streams file", got=f"format = {table.get('format')!r}", wanted=f'format = "{FORMAT}"'
        )
    engine, defaults = _table(place, table, "engine"), _table(place, table, "defaults")
    _check_keys(place, "[engine]: ", engine, ("model", *ENGINE_FIELDS))
    named = engine.pop("model", None)
    shared = _config(place, "[engine]", engine)
    plans = _plans(place, table.get("stream", []), defaults, engine)
    found = model if model is not None else named
    return StreamsFile(place, None if found is None else Path(found), shared, plans)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise InputError(f"{path} is not valid TOML", got=str(error)) from error


def _plans(path: Path, entries: Any, defaults: dict[str, Any], engine: dict[str, Any]) -> tuple[StreamPlan, ...]:
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{path} has no streams", wanted="a table [[stream]] with name and source for each stream")
    _check_keys(path, "[defaults]: ", defaults, _keys())
    plans: list[StreamPlan] = []
    for entry in entries:
        name, uri = entry.get("name"), entry.get("source")
        place = f"[[stream]] {name!r}"
        if isinstance(uri, int) and not isinstance(uri, bool):
            raise InputError(
                f"{path}: {place}: source has the wrong type",
                got=f"the number {uri}",
                wanted=f'text, also for a camera: source = "{uri}"',
            )
        if not isinstance(name, str) or not name or not isinstance(uri, str) or not uri:
            raise InputError(f"{path}: {place} has no name or no source", wanted='name = "…" and source = "…"')
        if name in {plan.name for plan in plans}:
            raise InputError(f"{path}: two streams are called {name!r}", wanted="a different name for each stream")
        _check_keys(path, f"{place}: ", entry, ("name", "source", *_keys()))
        own = {key: value for key, value in entry.items() if key not in ("name", "source")}
        _check_masks(f"{path}: {place}", {**defaults, **own}.get("masks"))
        keys = {**engine, "window": False, **defaults, **own}
        config = with_own_lines(_config(path, place, keys), name, json_folder=means_folder(keys.get("json")))
        plans.append(StreamPlan(name, uri, config))
    return tuple(plans)


def _check_masks(place: str, masks: Any) -> None:
    """Refuse masks of another form, such as lists of numbers, with the form that is read."""
    if masks is not None and not (isinstance(masks, list) and all(isinstance(mask, str) for mask in masks)):
        raise InputError(
            f"{place}: masks has the wrong type",
            got=f"{masks!r:.100}",
            wanted='a list of polygons, each one text: masks = ["0,0 0.4,0 0.4,0.3"]',
        )


def _keys() -> tuple[str, ...]:
    """Return the keys of a stream, as they are written."""
    written = {name: key for key, name in _NAMES.items()}
    return tuple(written.get(name, name) for name in STREAM_FIELDS)


def _config(path: Path, place: str, keys: Mapping[str, Any]) -> RunConfig:
    try:
        return config_from(RunConfig, None, {_NAMES.get(key, key): value for key, value in keys.items()})
    except InputError as error:
        raise InputError(f"{path}: {place}: {error.what}", got=error.got, wanted=error.wanted, do=error.do) from error


def _table(path: Path, table: dict[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise InputError(f"{path}: {key} is not a table", wanted=f"a table [{key}]")
    return dict(found)


def _check_keys(path: Path, place: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for key in table:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            raise InputError(
                f"{path}: {place}there is no key {key!r}",
                wanted=", ".join(allowed),
                do=f"Did you mean {near[0]}?" if near else "",
            )
