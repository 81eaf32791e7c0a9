from __future__ import annotations

import pytest

from ssd_edge.doctor.check import State
from ssd_edge.doctor.facts import Facts
from ssd_edge.doctor.live import Live
from ssd_edge.doctor.resources import resources
from tests.doctor.machines import facts

MB, GB = 1 << 20, 1 << 30
FINE = {
    "room /dev/shm": [8 * GB, 8 * GB],
    "limits": [65536, -1],
    "room .": [99 * GB, 9 * GB],
    "room TMPDIR": [9 * GB, 9 * GB],
}


def states(answers: dict[str, object]) -> dict[str, State]:
    return {result.name: result.state for result in resources(facts(answers))}


def test_a_roomy_machine_has_nothing_to_mend() -> None:
    assert states(FINE) == dict.fromkeys(("shared memory", "limits", "disk", "TMPDIR"), State.OK)


@pytest.mark.parametrize(
    ("question", "answer", "name", "do"),
    [
        ("room /dev/shm", [64 * MB, 64 * MB], "shared memory", "--shm-size"),
        ("limits", [256, -1], "limits", "ulimit -n"),
        ("limits", [65536, 100], "limits", "ulimit -u"),
        ("room .", [99 * GB, GB], "disk", "Free some space"),
        ("room TMPDIR", [GB, GB], "TMPDIR", "TMPDIR"),
    ],
)
def test_what_would_run_out_is_named_with_its_remedy(question: str, answer: list[int], name: str, do: str) -> None:
    found = {result.name: result for result in resources(facts({**FINE, question: answer}))}
    assert found[name].state is State.WARN
    assert do in found[name].do
    assert sum(result.state is State.WARN for result in found.values()) == 1


def test_a_machine_that_does_not_tell_is_not_judged() -> None:
    assert resources(facts({})) == ()


def test_this_machine_tells() -> None:
    assert {result.name for result in resources(Facts(Live()))} >= {"limits", "disk", "TMPDIR"}
