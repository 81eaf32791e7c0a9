from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pytest

from ssd_edge.core.field_types import refuse_other_types


@dataclass(frozen=True)
class Inner:
    sides: tuple[float, float] = (1.0, 2.0)


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    count: int = 1
    share: float = 0.5
    on: bool = True
    order: Literal["rgb", "bgr"] = "rgb"
    table: Inner | None = None
    inner: tuple[Inner, ...] = (Inner(), Inner())
    options: Mapping[str, float] = field(default_factory=lambda: {"a": 1.0})


@pytest.mark.parametrize("changes", [{}, {"share": 1}, {"table": Inner()}, {"inner": ()}, {"options": {}}])
def test_what_is_declared(changes: dict[str, object]) -> None:
    refuse_other_types(replace(Outer(), **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 5}, "name is 5, not str"),
        ({"count": True}, "count is True, not int"),
        ({"count": 1.0}, "count is 1.0, not int"),
        ({"share": "0.5"}, "share is '0.5', not float"),
        ({"on": 1}, "on is 1, not bool"),
        ({"order": "gbr"}, "order is 'gbr', not "),
        ({"table": 0}, "table is 0, not "),
        ({"inner": (Inner(), None)}, r"inner\[1\] is None, not Inner"),
        ({"inner": [Inner()]}, r"inner is \[Inner"),
        ({"inner": (Inner(), Inner((1.0, None)))}, r"inner\[1\].sides\[1\] is None, not float"),
        ({"table": Inner((1.0,))}, "table is Inner"),
        ({"options": {"a": None}}, r"options\['a'\] is None, not float"),
        ({"options": {1: 1.0}}, "name of options is 1, not str"),
        ({"options": [("a", 1.0)]}, "options is "),
    ],
)
def test_what_is_not(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        refuse_other_types(replace(Outer(), **changes))
