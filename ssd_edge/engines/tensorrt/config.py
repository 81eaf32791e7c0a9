"""Builder configuration: memory, effort, shapes, and the machines that the engine must run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ssd_edge.core.errors import DeviceError, InputError
from ssd_edge.engines.options import TrtOptions
from ssd_edge.engines.tensorrt.release import Release

if TYPE_CHECKING:
    import tensorrt

_GIB = 1 << 30
_EIGHTH = 8  # of a board's memory, where nothing else is said: 1 GiB of an Orin Nano's 8


def set_options(
    release: Release, builder: tensorrt.Builder, config: tensorrt.IBuilderConfig, options: TrtOptions
) -> None:
    """Set all that the options ask for, but the shapes.

    Raises:
        InputError: the release has no such option.
        DeviceError: there is no such DLA core.
    """
    set_limits(release, config, options)
    set_compatibility(release, config, options)
    set_accelerator(release, builder, config, options.dla)


def set_limits(release: Release, config: tensorrt.IBuilderConfig, options: TrtOptions) -> None:
    """Set what a kernel may use and how long TensorRT looks for the best.

    Raises:
        InputError: the release has no such option.
    """
    config.profiling_verbosity = release.trt.ProfilingVerbosity.DETAILED  # what `inspect` shows of the engine
    if hasattr(release.trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # RTX: without it no CUDA graph can be captured
        config.set_flag(release.trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    set_memory(release, config, options)
    if options.opt_level is not None:
        release.require(hasattr(config, "builder_optimization_level"), "--opt-level")
        config.builder_optimization_level = options.opt_level


def set_memory(release: Release, config: tensorrt.IBuilderConfig, options: TrtOptions) -> None:
    """Bound what the builder takes; on a board it takes it from the processor, the desktop and the camera.

    TensorRT's own limits there are all of the memory for the workspace, and three quarters for trying kernels.
    """
    trt, shared = release.trt, release.shared_memory
    workspace = int(options.builder_memory_gib * _GIB) if options.builder_memory_gib is not None else shared // _EIGHTH
    if workspace:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    if shared and hasattr(trt.MemoryPoolType, "TACTIC_DRAM"):
        tactics = min(2 * workspace, shared // 2)
        power = 1 << (tactics.bit_length() - 1)  # another number is refused, and three quarters stay the limit
        config.set_memory_pool_limit(trt.MemoryPoolType.TACTIC_DRAM, power)


def set_compatibility(release: Release, config: tensorrt.IBuilderConfig, options: TrtOptions) -> None:
    """Set which other releases and GPUs the engine must run on.

    Raises:
        InputError: the release cannot do it.
    """
    trt = release.trt
    if options.version_compatible:  # RTX has the flag, but not the lean runtime that goes into such an engine
        has_flag = hasattr(trt.BuilderFlag, "VERSION_COMPATIBLE") and not release.is_rtx
        release.require(has_flag, "--version-compatible")
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:  # RTX has the attribute, warns, and keeps nothing
        release.require(hasattr(config, "hardware_compatibility_level"), "--hardware-compatible")
        if release.shared_memory:
            raise InputError(
                "--hardware-compatible is not possible on this GPU",
                got="a GPU that shares the board's memory, which NVIDIA does not support here",
                do="Build without --hardware-compatible.",
            )
        level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        config.hardware_compatibility_level = level
        release.require(config.hardware_compatibility_level == level, "--hardware-compatible")
    wanted = options.compute_capabilities
    if wanted:
        release.require(hasattr(config, "num_compute_capabilities"), "--compute-capabilities")
        rtx: Any = config  # the stubs are TensorRT's, which has no such attributes
        rtx.num_compute_capabilities = len(wanted)
        for number, capability in enumerate(wanted):
            rtx.set_compute_capability(_compute_capability(release, capability), number)


def set_accelerator(
    release: Release, builder: tensorrt.Builder, config: tensorrt.IBuilderConfig, core: int | None
) -> None:
    """Let a DLA run what it can, and the GPU the rest.

    Raises:
        DeviceError: there is no such core.
    """
    if core is None:
        return
    if core >= builder.num_DLA_cores:
        raise DeviceError(
            f"there is no DLA core {core}",
            got=f"{builder.num_DLA_cores} cores that {release} finds",
            do="Build without --dla.",
        )
    config.default_device_type = release.trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(release.trt.BuilderFlag.GPU_FALLBACK)


def set_shapes(
    release: Release,
    builder: tensorrt.Builder,
    network: tensorrt.INetworkDefinition,
    config: tensorrt.IBuilderConfig,
    batch: tuple[int, int, int],
) -> None:
    """Set the fewest, best and most images at a time.

    Raises:
        InputError: the release cannot run several frames at once where these differ.
    """
    images: Any = network.get_input(0)  # its Dims are a tuple, and tuples are Dims
    height, width, channels = tuple(images.shape)[1:]
    if not release.has_strong_types:
        _share_profile(release, config, batch)
    least, _, most = batch
    if least == most:  # a static network: kernels for this very shape, and the only one that a DLA takes
        images.shape = (most, height, width, channels)
    profile: Any = builder.create_optimization_profile()
    profile.set_shape(images.name, *((count, height, width, channels) for count in batch))
    config.add_optimization_profile(profile)


def _share_profile(release: Release, config: tensorrt.IBuilderConfig, batch: tuple[int, int, int]) -> None:
    """Let the runtime's execution contexts, of which it has several, use the one profile of a dynamic engine.

    From 9.0 on they always may. 8.6 needs a flag for it; 8.5 never lets them, and there only a fixed size helps.
    """
    refuse_range_of_sizes(release, batch)
    sharing = _profile_sharing(release)
    if sharing is not None:
        config.set_preview_feature(sharing, True)


def refuse_range_of_sizes(release: Release, batch: tuple[int, int, int]) -> None:
    """Raise InputError where a release cannot run several frames at once with sizes that differ."""
    least, _, most = batch
    if least != most and not release.has_strong_types and _profile_sharing(release) is None:
        raise InputError(
            f"{release} cannot run several frames at once with --batch MIN:OPT:MAX",
            got=":".join(map(str, batch)),
            do=f"Build for one batch size: --batch {most}",
        )


def _profile_sharing(release: Release) -> Any:
    return getattr(release.trt.PreviewFeature, "PROFILE_SHARING_0806", None)


def _compute_capability(release: Release, number: int) -> Any:
    known = release.trt.ComputeCapability
    found = getattr(known, f"SM{number}", None)
    if found is None:
        names = sorted(int(name.removeprefix("SM")) for name in dir(known) if name.startswith("SM"))
        raise InputError(
            f"{release} cannot build for GPUs of compute capability {number}", wanted=", ".join(map(str, names))
        )
    return found
