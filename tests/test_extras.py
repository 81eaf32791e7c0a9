"""The extras of the package: what each must bring so that its engines run, and not only build."""

from __future__ import annotations

import re
import sys

import pytest

from tests.documents import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize(("extra", "runtime"), [("tensorrt", "tensorrt"), ("rtx", "tensorrt-rtx")])
def test_an_extra_of_a_gpu_s_runtime_brings_a_binding_of_cuda(extra: str, runtime: str) -> None:
    names = {re.split(r"[<>=\[;]", requirement)[0] for requirement in EXTRAS[extra]}
    assert runtime in names
    assert names & {"cuda-bindings", "pycuda"}
