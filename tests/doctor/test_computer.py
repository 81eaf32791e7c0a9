"""The Python of a computer."""

from __future__ import annotations

import pytest

from ssd_edge.doctor.check import State
from ssd_edge.doctor.computer import python
from ssd_edge.doctor.jetpack import JetPack
from tests.doctor.machines import bare_cpu, facts


@pytest.mark.parametrize(
    ("jetpack", "do"), [(None, "Install Python 3.10 or newer."), (JetPack("35.4.1", "5.1.2"), "flash JetPack 6")]
)
def test_an_old_python_is_replaced_where_that_can_be_done(jetpack: JetPack | None, do: str) -> None:
    answers = bare_cpu()
    answers["python"] = {**answers["python"], "version": [3, 9, 2]}
    found = python(facts(answers), jetpack)
    assert found.state is State.MISSING
    assert "3.9.2" in found.found
    assert do in found.do
    answers["python"] = {**answers["python"], "version": [3, 10, 0]}
    assert python(facts(answers), None).state is State.OK
