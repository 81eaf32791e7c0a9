from __future__ import annotations

import sys
from itertools import pairwise

import pytest

from bench._turns import take_turns

BUSY = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', {})"


def test_only_one_process_runs_at_a_time_and_both_end() -> None:
    seen: list[tuple[int, int]] = []
    commands = [[sys.executable, "-c", BUSY.format(number)] for number in range(2)]
    found = take_turns(commands, lambda number, process: seen.append((number, process)), turn_s=0.05)
    assert [one.output for one in found] == ["done 0\n", "done 1\n"]
    turns = sorted((begin, end, number) for number, one in enumerate(found) for begin, end in one.turns)
    assert all(before[1] <= after[0] for before, after in pairwise(turns))
    assert len(found[0].turns) > 2
    assert {number for number, _ in seen} == {0, 1}
    for one in found:
        assert 0.3 <= one.processor_s <= one.ran() + 0.1
        begin, end = one.turns[0]
        assert one.ran(begin, (begin + end) / 2) == pytest.approx((end - begin) / 2, abs=1e-5)
        assert one.ran(end, one.turns[1][0]) == 0


def test_a_process_that_fails_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"-c raise SystemExit\(3\) ended with 3"):
        take_turns([[sys.executable, "-c", "raise SystemExit(3)"]], lambda *_: None)
