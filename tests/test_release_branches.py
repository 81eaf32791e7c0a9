"""No branch on a release's number: what TensorRT can do is asked of what it has, in the adapter and everywhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ssd_edge"
# Each compares a number for a reason that is no branch on TensorRT's release.
ALLOWED = {
    "quantization/trt_cache.py": "the number is written into the file",
    "doctor/nvidia.py": "pycuda",
    "doctor/computer.py": "Python",
    "backends/openvino/module.py": "what manifests keep of it, without the name of the build",
}
VERSION = re.compile(r"\b(__version__|(\w+_)?version|NV_TENSORRT\w*)\b(?!_info)", re.IGNORECASE)
ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
TAKES_APART = ("startswith", "endswith", "split", "partition", "rpartition", "rsplit", "match", "fullmatch", "search")


def breaches(text: str) -> list[str]:
    """Return the expressions that order versions, or take one apart."""
    found = []
    for node in ast.walk(ast.parse(text)):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Compare) and any(isinstance(operator, ORDERS) for operator in node.ops):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TAKES_APART:
            operands = [node.func.value, *node.args]
        elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
            operands = [node.value]
        if any(VERSION.search(ast.unparse(operand)) for operand in operands if not isinstance(operand, ast.Constant)):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_branch_on_a_release(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    found = breaches(path.read_text(encoding="utf-8"))
    assert bool(found) == (name in ALLOWED), found


@pytest.mark.parametrize(
    "statement",
    [
        "if trt.__version__ >= '10': pass",
        "if tuple(map(int, trt.__version__.split('.'))) < (8, 6): pass",
        "new = not manifest.runtime_version.startswith('8.')",
        "major = int(self.runtime_version.partition('.')[0])",
        "x = 1 if release.version > (10, 0) else 2",
        "found = re.match('8', str(module.__version__))",
        "if NV_TENSORRT_MAJOR >= 10: pass",
    ],
)
def test_the_check_sees_a_branch(statement: str) -> None:
    assert breaches(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "if trt.__version__ == manifest.runtime_version: pass",
        "if hasattr(trt, 'IProgressMonitor'): pass",
        "if sys.version_info >= (3, 11): pass",
        "text = f'{target} {version}'",
    ],
)
def test_the_check_lets_pass_what_is_none(statement: str) -> None:
    assert not breaches(statement)
