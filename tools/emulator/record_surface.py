"""Writes ``surface.json``: which names each TensorRT release has, asked of NVIDIA's own Python bindings.

Run by hand (``python -m tools.emulator.record_surface``), on Linux x86-64 with Python 3.11, cc and TensorRT-RTX here.
The wheels of the bindings are small and need no GPU; the libraries behind them are replaced by empty ones, as nothing
is called. Of 8.5 there is no wheel: its names are those of 8.6 without what NVIDIA's sources of the bindings
(python/src) gained from tag 8.5.2 to branch release/8.6.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("surface.json")
WHEELS = {
    "8.6": "tensorrt-bindings==8.6.1",
    "10.3": "tensorrt-cu12-bindings==10.3.0",
    "10.16": "tensorrt-cu12-bindings==10.16.1.11",
    "11.4": "tensorrt-cu12-bindings==11.4.0.106",
}
# Classes that the stand-in has; of the others their existence is all that is kept.
CLASSES = (
    "Builder", "EngineInspector", "IBuilderConfig", "ICudaEngine", "IExecutionContext", "IHostMemory", "ILogger",
    "IInt8EntropyCalibrator2", "INetworkDefinition", "IOptimizationProfile", "IPluginCreator", "IPluginRegistry",
    "IProgressMonitor", "IRuntimeCache", "IRuntimeConfig", "ITensor", "ITimingCache", "Logger", "OnnxParser",
    "ParserError", "Runtime",
)  # fmt: skip
ADDED_IN_8_6 = {
    "Builder": ["get_plugin_registry"],
    "IBuilderConfig": [
        "builder_optimization_level", "hardware_compatibility_level", "max_aux_streams", "plugins_to_serialize",
    ],
    "ICudaEngine": ["hardware_compatibility_level", "num_aux_streams"],
    "IExecutionContext": ["set_aux_streams"],
    "INetworkDefinition": ["add_cast", "add_normalization", "add_reverse_sequence", "builder"],
    "IPluginRegistry": ["deregister_library", "load_library", "parent_search_enabled"],
    "OnnxParser": ["clear_flag", "flags", "get_flag", "get_used_vc_plugin_libraries", "set_flag"],
    "Runtime": [
        "engine_host_code_allowed", "get_plugin_registry", "load_runtime", "temporary_directory",
        "tempfile_control_flags",
    ],
    "BuilderFlag": ["EXCLUDE_LEAN_RUNTIME", "FP8", "VERSION_COMPATIBLE"],
    "DataType": ["FP8"],
    "LayerType": ["CAST", "NORMALIZATION", "REVERSE_SEQUENCE"],
    "MemoryPoolType": ["TACTIC_DRAM"],
    "PreviewFeature": ["PROFILE_SHARING_0806"],
    "TensorFormat": ["DHWC"],
    "": [
        "HardwareCompatibilityLevel", "ICastLayer", "INormalizationLayer", "IReverseSequenceLayer", "OnnxParserFlag",
        "TempfileControlFlag", "fp8",
    ],
}  # fmt: skip
# Run in the process that imports the bindings.
ASK = """
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
found = {"": sorted(name for name in dir(module) if not name.startswith("_"))}
for name in found[""]:
    thing = getattr(module, name)
    if isinstance(thing, type):
        members = getattr(thing, "__members__", None)
        found[name] = ({member: int(value) for member, value in members.items()} if members
                       else [entry for entry in dir(thing) if not entry.startswith("_")])
found[""] = [name for name in found[""] if type(getattr(module, name)).__name__ != "module"]
print(json.dumps(found))
"""

Names = dict[str, Any]


def main() -> None:
    found = {release: _ask_wheel(wheel) for release, wheel in WHEELS.items()}
    found["rtx"], problem = _ask("tensorrt_rtx_bindings", dict(os.environ))
    if problem:
        raise RuntimeError(problem)
    found = {"8.5": _before_8_6(found["8.6"]), **found}
    merged: dict[str, Any] = {}
    for release, names in found.items():
        for kind, entries in names.items():
            if isinstance(entries, dict):
                _merge_enum(merged.setdefault(kind, {}), entries, release)
            elif kind == "" or kind in CLASSES:
                for entry in entries:
                    merged.setdefault(kind, {}).setdefault(entry, []).append(release)
    lines = [f"{json.dumps(kind)}: {json.dumps(_short(merged[kind]), sort_keys=True)}" for kind in sorted(merged)]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _short(entries: dict[str, Any]) -> dict[str, Any]:
    """Write the releases that have a name as one text."""
    return {name: " ".join(found) if isinstance(found, list) else found for name, found in entries.items()}


def _merge_enum(known: dict[str, Any], members: dict[str, int], release: str) -> None:
    for member, value in members.items():
        known.setdefault(member, {})[release] = value


def _before_8_6(names: Names) -> Names:
    older: Names = {}
    for kind, entries in names.items():
        gone = ADDED_IN_8_6.get(kind, [])
        kept = [entry for entry in entries if entry not in gone]
        older[kind] = {entry: entries[entry] for entry in kept} if isinstance(entries, dict) else kept
    return {kind: entries for kind, entries in older.items() if kind not in ADDED_IN_8_6[""]}


def _ask_wheel(wheel: str) -> Names:
    """Import the bindings of a wheel, with an empty library for each that they miss."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pip = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--dest", folder, wheel], check=True)
        with zipfile.ZipFile(next(work.glob("*.whl"))) as opened:
            opened.extractall(work)
        environment = {**os.environ, "LD_LIBRARY_PATH": folder, "PYTHONPATH": folder}
        libraries: set[str] = set()
        symbols: set[str] = set()
        while True:
            names, problem = _ask("tensorrt_bindings", environment)
            if names:
                return names
            library = re.search(r"ImportError: (lib\S+?): cannot open shared object", problem)
            symbol = re.search(r"undefined symbol: (\w+)", problem)
            if library is None and symbol is None:
                raise RuntimeError(problem)
            libraries |= {library[1]} if library else set()
            symbols |= {symbol[1]} if symbol else set()
            _compile(work, libraries, symbols)


def _compile(work: Path, libraries: set[str], symbols: set[str]) -> None:
    source = work / "empty.c"
    source.write_text("".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in sorted(symbols)))
    for library in libraries:
        command = ["cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{library}", "-o", str(work / library), str(source)]
        subprocess.run(command, check=True)


def _ask(module: str, environment: dict[str, str]) -> tuple[Names, str]:
    """Return what the module has, or why it cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK, module],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return (json.loads(done.stdout), "") if done.returncode == 0 else ({}, done.stderr)


if __name__ == "__main__":
    main()
