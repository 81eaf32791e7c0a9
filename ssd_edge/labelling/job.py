"""A job and its folder: the fingerprint of all that changes results, the plan, and the parts that are done."""

from __future__ import annotations

import dataclasses
import filecmp
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ssd_edge.core.artifact import Format, read_artifact
from ssd_edge.core.errors import ArtifactError, InputError
from ssd_edge.core.files import make_folder, path_kind, text_digest, written_beside
from ssd_edge.core.temp_dir import scratch_folder
from ssd_edge.labelling.items import JOB_NAME, PLAN_NAME, NotListed
from ssd_edge.labelling.plan import numbers_of, write_plan
from ssd_edge.labelling.rows import FINGERPRINT_KEY, remove_partials

_PARTS, _LOCK = "parts", ".lock"
_FORMAT = Format("ssd-edge/label-job/1", "labelling job", "Choose another folder.")
_PATIENCE_S = 600.0  # another process may be copying the plan of millions of files
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Job:
    """All that changes a row of the result.

    Attributes:
        model: its name.
        model_digest: of its file.
        class_names: its labels.
        runtime: what it runs on, with its version.
        opencv: the version that decodes and resizes.
        score_threshold: detections score more.
        batch: images of a batch, black ones included.
        every: of a video, each so-manieth frame is labelled.
        images_per_part: images of a unit.
        plan: digest of the images and their places.
        images, videos, parts: how many the plan has.
    """

    model: str
    model_digest: str
    class_names: tuple[str, ...]
    runtime: str
    opencv: str
    score_threshold: float
    batch: int
    every: int
    images_per_part: int
    plan: str = ""
    images: int = 0
    videos: int = 0
    parts: int = 0

    @property
    def fingerprint(self) -> str:
        """``sha256:…`` of all of it; each part carries it."""
        return text_digest(json.dumps(dataclasses.asdict(self), sort_keys=True))

    @property
    def model_id(self) -> str:
        """Name and digest, as the rows have them."""
        return f"{self.model}@{self.model_digest}"


@dataclass(frozen=True)
class JobFolder:
    """A folder with a job.

    Attributes:
        path: of the folder.
        job: that it holds.
        not_listed: what its sources hold and cannot be used.
    """

    path: Path
    job: Job
    not_listed: NotListed = dataclasses.field(default_factory=NotListed)

    @classmethod
    def enter(cls, path: Path, job: Job, sources: Sequence[str]) -> JobFolder:
        """Plan the job in a new or empty folder, or go on in one that holds this very job.

        The sources are listed again each time: what has changed in them makes another job. Any number of processes may
        list them at once.

        Raises:
            InputError: the folder holds another job or something else, or a source cannot be used.
        """
        if path_kind(path) == "file":
            raise InputError(f"{path} is a file", wanted="a new or empty folder")
        make_folder(path)
        _refuse_others(path)
        with scratch_folder() as scratch:
            listed = scratch / PLAN_NAME
            plan = write_plan(listed, sources, job.images_per_part, skip=str(path.absolute()))
            asked = dataclasses.replace(job, plan=plan.digest, images=plan.images, videos=plan.videos, parts=plan.parts)
            with _locked(path):
                _agree(path, asked, listed)
        make_folder(path / _PARTS)
        remove_partials(path / _PARTS, everyones=False)
        return cls(path, asked, plan.not_listed)

    @classmethod
    def read(cls, path: Path) -> JobFolder:
        """Return the folder of a job that was planned before.

        Raises:
            ArtifactError: there is none.
        """
        return cls(path, _read_job(path / JOB_NAME))

    @property
    def plan_path(self) -> Path:
        """The plan, a row group a unit."""
        return self.path / PLAN_NAME

    @property
    def parts_path(self) -> Path:
        """The folder of the parts."""
        return self.path / _PARTS

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """Return what each part says of itself."""
        return {FINGERPRINT_KEY: self.job.fingerprint.encode()}

    def part_path(self, number: int) -> Path:
        """Return where the rows of a unit are, or will be."""
        return self.parts_path / f"part-{number:06d}.parquet"

    def done(self) -> frozenset[int]:
        """Return the units that are labelled."""
        found = {path.name for path in self.parts_path.glob("part-*.parquet")}
        return frozenset(number for number in range(self.job.parts) if self.part_path(number).name in found)

    def check_parts(self) -> None:
        """Check that a program that reads all files of the folder of parts reads the rows of this job, each once.

        Raises:
            ArtifactError: a file is no part of it.
        """
        own = {self.part_path(number).name for number in range(self.job.parts)}
        strays = sorted(path.name for path in self.parts_path.glob("*.parquet") if path.name not in own)
        if strays:
            raise ArtifactError(
                f"{self.parts_path / strays[0]} is no part of this job",
                got=f"{len(strays)} such files",
                wanted=f"part-000000.parquet to {self.part_path(self.job.parts - 1).name}",
                do="Move them away: programs that read the folder would read their rows, too.",
            )

    def waiting(self, shard: tuple[int, int]) -> list[int]:
        """Return the units of a shard that are not labelled yet."""
        done = self.done()
        return [number for number in numbers_of(self.job.parts, shard) if number not in done]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / _LOCK, timeout=_PATIENCE_S):
            yield
    except Timeout as error:
        raise InputError(f"{folder} is in use: another process is writing its plan", do="Try again later.") from error


def _agree(folder: Path, asked: Job, listed: Path) -> None:
    """Write plan and job into a new folder, or compare the job with that of one which has it."""
    plan, is_new = folder / PLAN_NAME, path_kind(folder / JOB_NAME) == "absent"
    if is_new:
        _refuse_others(folder)
    else:
        _check_same(folder, _read_job(folder / JOB_NAME), asked)
    if path_kind(plan) != "file" or not filecmp.cmp(listed, plan, shallow=False):  # a lost or damaged one is mended
        with written_beside(plan) as partial:
            shutil.copyfile(listed, partial)
    if is_new:
        _write_job(folder / JOB_NAME, asked)


def _refuse_others(folder: Path) -> None:
    """Raise InputError where a folder without a job has files, but for a plan and for what is hidden."""
    others = [entry for entry in folder.iterdir() if entry.name != PLAN_NAME and not entry.name.startswith(".")]
    if others and path_kind(folder / JOB_NAME) == "absent":  # in this order: one may come just now
        raise InputError(
            f"{folder} is not empty", got="files that are not from a labelling job", wanted="a new or empty folder"
        )


def _write_job(path: Path, job: Job) -> None:
    fields = {"format": _FORMAT.tag, **dataclasses.asdict(job)}
    with written_beside(path) as partial:
        partial.write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_job(path: Path) -> Job:
    return read_artifact(path, Job, _FORMAT)


def _check_same(folder: Path, before: Job, asked: Job) -> None:
    """Raise InputError where a folder's job is another one; it names what differs."""
    fields = [
        entry.name for entry in dataclasses.fields(Job) if getattr(before, entry.name) != getattr(asked, entry.name)
    ]
    if not fields:
        return
    was, now = (
        ", ".join(f"{name} {str(getattr(job, name))[:_LONGEST_SHOWN]}" for name in fields) for job in (before, asked)
    )
    raise InputError(
        f"{folder} contains another job",
        got=now,
        wanted=was,
        do="Choose another folder, or use the options that the job was started with.",
    )
