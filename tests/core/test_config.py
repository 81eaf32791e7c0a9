from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ssd_edge.core.choices import Precision, Target
from ssd_edge.core.config import AnyPath, check_limits, config_from, shown_number
from ssd_edge.core.errors import InputError
from ssd_edge.engines.options import TrtOptions
from ssd_edge.streaming.selection import DetectionFilter, FrameSelection


@dataclass(frozen=True)
class Config:
    precision: Precision = Precision.FP32
    images: Path | None = None
    max_drop: float | None = None
    batch: int = 8
    keep: frozenset[str] = frozenset()
    several: tuple[Path, ...] = ()
    force: bool = False


def test_keywords_become_the_types_of_their_fields() -> None:
    made = config_from(
        Config,
        None,
        {"precision": "int8", "images": "a", "max_drop": 1, "keep": ["x"], "several": ["b"], "force": True},
    )
    assert made == Config(Precision.INT8, Path("a"), 1.0, 8, frozenset({"x"}), (Path("b"),), True)
    assert isinstance(made.max_drop, float)


def test_a_config_is_taken_as_it_is_and_nothing_means_the_defaults() -> None:
    given = Config(batch=2)
    assert config_from(Config, given, {}) is given
    assert config_from(Config, None, {}) == Config()
    assert config_from(Config, None, {"images": None}) == Config()


@dataclass(frozen=True)
class Nested:
    dataset: AnyPath = "a"
    split: str = "val"
    size: tuple[int, int] = (1, 2)
    limit: float | None = None


@dataclass(frozen=True)
class Outer(Config):
    gate: Nested | None = None


def test_the_fields_of_a_given_config_are_converted_too() -> None:
    given = Outer(precision="int8", images="a", max_drop=1, several=["b"], gate=Nested(Path("d"), limit=2))  # type: ignore[arg-type]
    made = config_from(Config, given, {})
    assert isinstance(made, Outer)
    assert made == Outer(Precision.INT8, Path("a"), 1.0, several=(Path("b"),), gate=Nested(Path("d"), limit=2.0))
    assert made.precision is Precision.INT8
    assert made.gate is not None
    assert (type(made.max_drop), type(made.gate.limit)) == (float, float)
    same = Outer(images=Path("a"), several=(Path("b"),), gate=Nested())
    assert config_from(Outer, same, {}) is same


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (Outer(precision="int4"), "precision is not one of the allowed values"),  # type: ignore[arg-type]
        (Outer(precision=Target.TENSORRT), "precision is not one of the allowed values"),  # type: ignore[arg-type]
        (Outer(gate=Nested(split=3)), r"gate\.split has the wrong type: got int 3"),  # type: ignore[arg-type]
        (Outer(gate=Nested(size=(1, 2, 3))), r"gate\.size has the wrong length: got 3: 1, 2, 3"),  # type: ignore[arg-type]
        (Outer(gate="voc"), "gate has the wrong type"),  # type: ignore[arg-type]
    ],
)
def test_the_fields_of_a_given_config_are_checked_too(given: Outer, what: str) -> None:
    with pytest.raises(InputError, match=what):
        config_from(Outer, given, {})


def test_a_limit_is_of_numbers() -> None:
    for value, what in (("8", "has the wrong type"), (True, "has the wrong type"), (9, "out of range")):
        with pytest.raises(InputError, match=what):
            check_limits(Config(batch=value), {"batch": (1, 8)})  # type: ignore[arg-type]
    check_limits(Config(), {"batch": (1, 8), "max_drop": (0, 1)})


@pytest.mark.parametrize(
    "make",
    [
        lambda number: DetectionFilter(number),
        lambda number: FrameSelection(detect_fps=number),
        lambda number: TrtOptions(builder_memory_gib=number),
        lambda number: check_limits(Config(batch=number), {"batch": (1, 8)}),
    ],
)
def test_a_number_that_no_float_holds_is_out_of_range(make: Callable[[int], object]) -> None:
    """A file can say such a number, of up to 4,300 digits."""
    with pytest.raises(InputError) as caught:
        make(10**400)
    assert "out of range" in caught.value.what
    assert caught.value.got.startswith("10000")
    assert len(caught.value.got) <= 40


def test_numbers_in_errors_are_short() -> None:
    assert [shown_number(value) for value in (1.0, 0.25, -3, 10**400)] == ["1", "0.25", "-3", "1" + 19 * "0" + "…"]


def test_both_styles_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        config_from(Config, Config(), {"batch": 3})


def test_a_foreign_config_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        config_from(Config, "int8", {})  # type: ignore[arg-type]
    assert (caught.value.got, caught.value.wanted) == ("str", "Config")


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"precision": "int4"}, "'int4'"),
        ({"batch": "8"}, "str '8'"),
        ({"batch": True}, "bool True"),
        ({"force": 1}, "int 1"),
    ],
)
def test_a_value_of_another_kind_is_refused(options: dict[str, object], got: str) -> None:
    with pytest.raises(InputError) as caught:
        config_from(Config, None, options)
    assert caught.value.got == got


def test_a_misspelled_option_is_named_with_its_neighbour() -> None:
    with pytest.raises(TypeError, match="did you mean max_drop"):
        config_from(Config, None, {"max_dorp": 1.0})
