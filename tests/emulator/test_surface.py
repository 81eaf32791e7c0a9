"""The stand-in has the names of its release, no more and no fewer."""

from __future__ import annotations

from typing import Any

import pytest

from tools.emulator.standin.device import Paper
from tools.emulator.standin.module import ACTED_OUT, AS_THEY_ARE, make_module
from tools.emulator.standin.releases import RELEASES, release_of
from tools.emulator.surface import Surface

WHOLE = [whole for whole in (*ACTED_OUT, *AS_THEY_ARE) if whole.__name__ != "Dims"]


def names(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


@pytest.mark.parametrize("release", RELEASES)
def test_names_are_those_of_the_release(release: str) -> None:
    trt, surface = make_module(release, device=Paper()), Surface(release)
    assert names(trt) == surface.module_names()
    for whole in WHOLE:
        if whole.__name__ in surface.module_names():
            assert names(getattr(trt, whole.__name__)) == surface.class_names(whole.__name__), whole.__name__
    assert {name: int(value) for name, value in trt.BuilderFlag.__members__.items()} == surface.enum_members(
        "BuilderFlag"
    )


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: whole.__name__)
def test_nothing_is_acted_out_that_no_release_has(whole: type) -> None:
    known = set().union(*(Surface(release).class_names(whole.__name__) for release in RELEASES))
    assert names(whole) <= known


@pytest.mark.parametrize(
    ("kind", "name", "has"),
    [
        # of NvInfer.h and NVIDIA's notes on migration, beside what the bindings say
        ("BuilderFlag", "FP16", ["8.5", "8.6", "10.3", "10.16"]),
        ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED", ["10.3", "10.16", "11.4", "rtx"]),
        ("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH", ["8.5", "8.6", "10.3", "10.16"]),
        ("PreviewFeature", "PROFILE_SHARING_0806", ["8.6", "10.3", "10.16"]),
        ("IBuilderConfig", "int8_calibrator", ["8.5", "8.6", "10.3", "10.16"]),
        ("IBuilderConfig", "progress_monitor", ["10.3", "10.16", "11.4", "rtx"]),
        ("IBuilderConfig", "builder_optimization_level", ["8.6", "10.3", "10.16", "11.4", "rtx"]),
        ("IBuilderConfig", "num_compute_capabilities", ["rtx"]),
        ("IPluginRegistry", "plugin_creator_list", ["8.5", "8.6", "10.3", "10.16"]),
        ("IPluginRegistry", "all_creators", ["10.3", "10.16", "11.4", "rtx"]),
        ("IExecutionContext", "execute_async_v3", list(RELEASES)),
        ("IExecutionContext", "set_binding_shape", ["8.5", "8.6"]),
        ("Runtime", "engine_host_code_allowed", ["8.6", "10.3", "10.16", "11.4", "rtx"]),
        ("ICudaEngine", "create_runtime_config", ["10.16", "11.4", "rtx"]),
        ("IRuntimeConfig", "create_runtime_cache", ["rtx"]),
    ],
)
def test_names_that_the_product_asks_for(kind: str, name: str, has: list[str]) -> None:
    modules = {release: make_module(release, device=Paper()) for release in RELEASES}
    assert [release for release, trt in modules.items() if hasattr(getattr(trt, kind, None), name)] == has


def test_tensorrt_rtx_is_as_it_is_installed_here() -> None:
    real = pytest.importorskip("tensorrt_rtx_bindings")
    trt = make_module("rtx", device=Paper())
    if real.__version__ != trt.__version__:
        pytest.skip(f"recorded of {trt.__version__}, and {real.__version__} is installed")
    kinds = {name for name in names(real) if type(getattr(real, name)).__name__ != "module"}
    assert names(trt) == kinds
    for whole in WHOLE:
        if whole.__name__ in kinds:
            assert names(getattr(trt, whole.__name__)) == names(getattr(real, whole.__name__)), whole.__name__
    for name in kinds:
        members = getattr(getattr(real, name), "__members__", None)
        if members and isinstance(getattr(real, name), type):
            ours = getattr(trt, name).__members__
            assert {key: int(value) for key, value in ours.items()} == {
                key: int(value) for key, value in members.items()
            }


def test_what_is_not_acted_out_is_there_and_fails_loudly() -> None:
    trt = make_module("10.3", device=Paper())
    assert hasattr(trt.IBuilderConfig, "set_quantization_flag")
    with pytest.raises(NotImplementedError, match="does not act out IBuilderConfig.set_quantization_flag"):
        trt.IBuilderConfig.set_quantization_flag(1)
    with pytest.raises(NotImplementedError, match="does not act out Refitter"):
        trt.Refitter()


@pytest.mark.parametrize(
    ("version", "release"),
    [("8.5.2.2", "8.5"), ("8.6.2", "8.6"), ("10.3.0", "10.3"), ("11.0.0.114", "11.4"), ("1.7.1.116", "rtx")],
)
def test_release_of_a_version(version: str, release: str) -> None:
    assert release_of(version) == release
