from __future__ import annotations

import os
import random
import sys

import pytest

from ssd_edge.core.errors import MissingPackageError
from ssd_edge.core.requirements import require_labelling


@pytest.mark.parametrize(("absent", "install"), [("pyarrow", "ssd-edge[label]"), ("ray", "ssd-edge[ray]")])
def test_labelling_names_the_package_that_it_misses(monkeypatch: pytest.MonkeyPatch, absent: str, install: str) -> None:
    for package in ("pyarrow.parquet", "ray.data"):
        monkeypatch.setitem(sys.modules, package, sys)  # any module: it is there
    require_labelling(ray=True)
    name = {"pyarrow": "pyarrow.parquet", "ray": "ray.data"}[absent]
    monkeypatch.setitem(sys.modules, name, None)  # as Python does it for what is not there
    state, variables = random.getstate(), dict(os.environ)
    with pytest.raises(MissingPackageError) as missing:
        require_labelling(ray=True)
    assert (name in missing.value.got, install in missing.value.do) == (True, True)
    assert (random.getstate(), dict(os.environ)) == (state, variables)


def test_ray_is_needed_on_a_cluster_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", sys)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    require_labelling(ray=False)
    with pytest.raises(MissingPackageError):
        require_labelling(ray=True)
