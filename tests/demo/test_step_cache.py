from __future__ import annotations

import re
from pathlib import Path

import pytest

import ssd_edge.demo.step_cache as step_cache
from ssd_edge.core.errors import InputError
from ssd_edge.demo.step_cache import Done, Step, run_steps, tree_digest


class Bench:
    """One step that copies a file, and a count of how often it really ran."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0
        self.source, self.target = folder / "in" / "a.txt", folder / "out.txt"
        self.source.parent.mkdir()
        self.source.write_text("one")

    def copy(self, before):
        self.runs += 1
        self.target.write_text(self.source.read_text())
        return {"detail": "copied", "size": self.target.stat().st_size}

    def step(self, *, fresh=False, settings=None, work=None, version=1):
        step = Step(
            "copy",
            work or self.copy,
            settings=settings or {"n": 1},
            inputs=[self.source.parent],
            outputs=[self.target],
            packages=["numpy", "no-such-package"],
            version=version,
        )
        (done,) = run_steps([step], self.folder / "stamps", fresh=fresh)
        return done


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path)


def test_second_time_nothing_is_done_and_the_facts_are_kept(bench, caplog):
    caplog.set_level("INFO", logger="ssd_edge")
    first, second = bench.step(), bench.step()
    assert bench.runs == 1
    assert (first.skipped, second.skipped) == (False, True)
    assert second.facts == first.facts == {"detail": "copied", "size": 3}
    assert second.seconds == first.seconds
    began, ended, kept = (record.getMessage() for record in caplog.records)
    assert began == "copy …"
    assert re.fullmatch(r"copy: copied \(\d+\.\d s\)", ended)
    assert re.fullmatch(r"copy: unchanged, reused: copied \(took \d+\.\d s\)", kept)


def change_setting(bench):
    return {"settings": {"n": 2}}


def change_input(bench):
    bench.source.write_text("two")
    return {}


def add_input(bench):
    (bench.source.parent / "b.txt").write_text("more")
    return {}


def rename_input(bench):
    other = bench.source.with_name("c.txt")
    bench.source.rename(other)
    bench.source = other
    return {}


def change_output(bench):
    bench.target.write_text("edited")
    return {}


def remove_output(bench):
    bench.target.unlink()
    return {}


def damage_stamp(bench):
    (bench.folder / "stamps" / "copy.json").write_text("{")
    return {}


def ask_for_fresh(bench):
    return {"fresh": True}


@pytest.mark.parametrize(
    "change",
    [change_setting, change_input, add_input, rename_input, change_output, remove_output, damage_stamp, ask_for_fresh],
)
def test_a_change_runs_the_step_again(bench, change):
    bench.step()
    done = bench.step(**change(bench))
    assert bench.runs == 2
    assert not done.skipped
    assert bench.target.read_text() == bench.source.read_text()


def test_another_version_runs_the_step_again(bench, monkeypatch):
    bench.step()
    assert not bench.step(version=2).skipped
    assert bench.step(version=2).skipped
    monkeypatch.setattr(step_cache, "_version_of", lambda package: "99" if package == "numpy" else "")
    assert not bench.step(version=2).skipped
    assert bench.step(version=2).skipped
    monkeypatch.setattr(step_cache, "__version__", "99")
    assert not bench.step(version=2).skipped


def test_a_step_that_fails_leaves_no_stamp(bench):
    bench.step()

    def fail(before):
        bench.target.write_text("half")
        raise InputError("no more disk")

    with pytest.raises(InputError, match="no more disk"):
        bench.step(work=fail, fresh=True)
    assert not bench.step().skipped
    assert bench.target.read_text() == "one"


def test_digest_is_of_names_and_bytes(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    first = tree_digest([tmp_path / "a"])
    assert tree_digest([tmp_path / "a"]) == first
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    assert tree_digest([tmp_path / "a"]) != first


def test_steps_see_what_those_before_them_left(tmp_path):
    seen = []

    def step(name):
        def work(before):
            seen.append([(done.name, done.facts) for done in before])
            return {"detail": name}

        return Step(name, work, settings={}, inputs=[], outputs=[])

    first, second = run_steps([step("a"), step("b")], tmp_path)
    assert seen == [[], [("a", {"detail": "a"})]]
    assert (first, second) == (
        Done("a", {"detail": "a"}, first.seconds, skipped=False),
        Done("b", {"detail": "b"}, second.seconds, skipped=False),
    )


def test_a_step_that_fails_leaves_those_before_it_done(tmp_path):
    ran = []

    def step(name, broken=False):
        def work(before):
            ran.append(name)
            if broken:
                raise InputError("no")
            return {"detail": name}

        return Step(name, work, settings={}, inputs=[], outputs=[])

    with pytest.raises(InputError):
        run_steps([step("a"), step("b", broken=True)], tmp_path)
    run_steps([step("a"), step("b")], tmp_path)
    assert ran == ["a", "b", "b"]
