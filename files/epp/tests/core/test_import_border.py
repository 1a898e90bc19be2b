"""The border between the strategy and everything else is hard."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "core"
MODULES = sorted(CORE.rglob("*.py"))
OUTSIDE = {
    "asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets",
    "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib",
}  # fmt: skip
"""Of the standard library, what reads a clock, draws a number or touches the outside."""


def imported(tree: ast.AST) -> Iterator[str]:
    """Absolute names of what a module imports; imports from its own package are left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, f"line {node.lineno} reaches out of the core's package"
            if node.level == 0:
                assert node.module is not None
                yield node.module


def called(tree: ast.AST) -> Iterator[str]:
    """Names of the functions and methods that a module calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr


def test_there_is_a_core_to_look_at() -> None:
    assert {"engine.py", "guard.py", "quoting.py"} <= {module.name for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(CORE)))
def test_the_core_imports_the_standard_library_pydantic_and_itself_only(module: Path) -> None:
    tops = {name.partition(".")[0] for name in imported(ast.parse(module.read_text()))}
    assert tops <= sys.stdlib_module_names | {"pydantic"}
    assert not tops & OUTSIDE


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(CORE)))
def test_the_core_neither_reads_a_clock_nor_touches_a_file(module: Path) -> None:
    """Time comes in as a value: a datetime is made of one, never of the machine's clock."""
    assert not set(called(ast.parse(module.read_text()))) & {
        "now", "utcnow", "today", "time", "monotonic", "perf_counter", "open", "print", "input", "exec", "eval",
        "__import__", "import_module",
    }  # fmt: skip
