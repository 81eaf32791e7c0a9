from __future__ import annotations

import pytest

from ssd_edge.engines.tensorrt.release import advice_for, is_expected, layer_in

NO_KERNEL_8 = "10: [optimizer.cpp::computeCosts::3728] Error Code 10: Internal Error (Could not find any implementation for node {ForeignNode[/backbone/0/Conv.../head/Relu]}.)"  # noqa: E501
NO_KERNEL_10 = "IBuilder::buildSerializedNetwork: Error Code 10: Internal Error (Could not find any implementation for node /backbone/0/Conv + /backbone/1/Relu. In computeCosts at /_src/optimizer.cpp:4201)"  # noqa: E501
NO_RUNNERS = "[tacticSupply.cpp::getSupportedFormats::48] Error Code 2: Internal Error (Assertion !layerImpls.empty() failed. /nms/NonMaxSuppression_30 has no runners that implement it In getSupportedFormats at /_src/optimizer/builder/tacticSupply.cpp:48)"  # noqa: E501
NO_IMPORTER = 'In node 1 with name: /head/Nonsense and operator: Nonsense (checkFallbackPluginImporter): INVALID_NODE: creator && "Plugin not found, are the plugin name, version, and namespace correct?"'  # noqa: E501
TOO_MANY = "IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (ITopKLayer /nms/TopK: /nms/TopK: K exceeds the maximum value allowed (3840). In processCheck at /_src/graphShapeAnalyzer.cpp:1066)"  # noqa: E501
TURING = "Error Code 1: Myelin (Cannot compile operation '$$myelin$$(Unnamed Loop* 0)^hits' for Turing (SM75): FP32 GEMM is not supported.)"  # noqa: E501
NO_ROOM = "Tactic Selection: no tactics to implement the operation within workspace limit. Consider increase"
MEMORY = "[virtualMemoryBuffer.cpp::resizePhysical::79] Error Code 2: OutOfMemory (Requested size was 268435456 bytes.)"
CANCELLED = "IBuilder::buildSerializedNetwork: Error Code 7: BuildCanceled (Build canceled by user In next)"


@pytest.mark.parametrize(
    ("message", "layer"),
    [
        (NO_KERNEL_8, "/backbone/0/Conv to /head/Relu"),
        (NO_KERNEL_10, "/backbone/0/Conv + /backbone/1/Relu"),
        ("Could not find any implementation for node conv1", "conv1"),
        ("Could not find any implementation for node {ForeignNode[conv1]} due to insufficient workspace.", "conv1"),
        (NO_RUNNERS, "/nms/NonMaxSuppression_30"),
        (NO_IMPORTER, "/head/Nonsense"),
        (TOO_MANY, "/nms/TopK"),
        (MEMORY, ""),
        ("2: Internal Error (Assertion engine != nullptr failed. )", ""),
    ],
)
def test_the_layer_that_a_message_names(message: str, layer: str) -> None:
    assert layer_in([MEMORY, message]) == layer


@pytest.mark.parametrize(
    ("message", "may_keep_float", "do"),
    [
        (NO_KERNEL_10, False, "Raise --builder-memory, or build in another precision."),
        (NO_KERNEL_10, True, "Keep it in FP32 (--keep-float, once for each of its layers: /backbone/0/Conv + "),
        (NO_RUNNERS, True, "its layers: /nms/NonMaxSuppression_30), or raise --builder-memory."),
        (NO_IMPORTER, True, "Export the model again: ssd-edge export"),
        (TOO_MANY, False, "Export the model with fewer candidates: ssd-edge export --max-candidates 3840"),
        (TURING, False, "Remove 75 from --compute-capabilities."),
        (
            "Tactic Selection: no tactics to implement the operation within workspace limit.",
            False,
            "Raise --builder-memory.",
        ),
        (MEMORY, False, "Close other programs, or lower --builder-memory."),
        (
            "something else",
            False,
            "Please report this with all of TensorRT's messages, and with: ssd-edge doctor --json board.json",
        ),
    ],
)
def test_what_helps(message: str, may_keep_float: bool, do: str) -> None:
    assert do in advice_for([message], may_keep_float=may_keep_float)


SHORT = (
    "Tactic Device request: 720MB Available: 650MB. Device memory is insufficient to use tactic.",
    "UNSUPPORTED_STATE: Skipping tactic 33 due to insufficient memory on requested size of 629145600 detected for "
    "tactic 0xa5a46bfbd719d757.",
    "Skipping tactic 3 due to insuficient memory on requested size of 2243 detected for tactic 4.",  # of 8.x
)


@pytest.mark.parametrize("warning", SHORT)
def test_kernels_that_memory_had_no_room_for_are_no_matter_of_precision(warning: str) -> None:
    """On an Orin NX with TensorRT 10.3 the error is the same as where there is no kernel."""
    wanted = "Close other programs (on a board the desktop, too), or raise --builder-memory."
    assert advice_for([NO_KERNEL_10], may_keep_float=True, warnings=[warning]) == wanted
    short = "Could not find any implementation for node {ForeignNode[conv1]} due to insufficient workspace."
    assert advice_for([short], may_keep_float=True) == wanted
    assert "--keep-float" in advice_for([NO_KERNEL_10], may_keep_float=True, warnings=["something else"])


def test_a_dla_falls_back_to_the_gpu_without_being_asked() -> None:
    said = advice_for(["DLA Node compilation Failed."], may_keep_float=True)
    assert said == "Build without --dla."


def test_what_need_not_be_said() -> None:
    for without_gpu in (True, False):
        assert is_expected(CANCELLED, without_gpu=without_gpu)
        assert not is_expected(NO_RUNNERS, without_gpu=without_gpu)


@pytest.mark.parametrize(
    "message", ["Unable to determine GPU memory usage", "CUDA driver version is insufficient for CUDA runtime version"]
)
def test_that_there_is_no_gpu_is_expected_only_where_it_builds_for_another(message: str) -> None:
    assert is_expected(message, without_gpu=True)
    assert not is_expected(message, without_gpu=False)
