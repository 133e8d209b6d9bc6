"""Imports point one way: cli -> (compiler, runtime) -> spec -> diagnostics, and files stay small.

Compiler and runtime both write files, and share no more than `storage`, which knows of no model.

The check reads the source, so that it also sees imports inside functions and for type checkers.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "perceiver_graph"
MAX_LINES = 400

# What each part of the package may import from the others; every part may import itself.
ALLOWED: dict[str, set[str]] = {
    "diagnostics": set(),
    "engine": set(),
    "storage": {"diagnostics"},
    "spec": {"diagnostics"},
    "compiler": {"engine", "spec", "storage", "diagnostics"},
    "runtime": {"engine", "spec", "storage", "diagnostics"},
    "testing": {"compiler", "spec", "diagnostics"},
    "cli": {"compiler", "runtime", "spec", "storage", "diagnostics"},
    "__init__": {"compiler", "runtime", "spec", "diagnostics"},
    "__main__": {"cli"},
}

# The public names of the package, by the part each of them comes from.
PUBLIC = {
    "DiagnosticError": "diagnostics",
    "Dim": "compiler",
    "Graph": "compiler",
    "compile": "compiler",
    "load": "runtime",
    "load_spec": "spec",
}


def _sources(*folders: str) -> list[Path]:
    """All Python files under the folders, relative to the root; links are not followed."""
    return sorted(
        path.relative_to(ROOT)
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


MODULES = _sources("perceiver_graph")
FILES = _sources("perceiver_graph", "tests", "examples", "benchmarks")


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """The full name of the module that a `from ... import` names."""
    if not node.level:
        return node.module or ""
    parents = module.split(".")
    keep = len(parents) - node.level + (1 if is_package else 0)
    return ".".join([*parents[:keep], *([node.module] if node.module else [])])


def imported(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """Full names of everything that the source of `module` imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def parts(names: set[str]) -> set[str]:
    """The parts of the package that the imported names belong to."""
    inside = {name.split(".")[1] for name in names if name.startswith("perceiver_graph.")}
    return {PUBLIC.get(part, part) for part in inside - {"__version__"}}


def _imports_of(path: Path) -> set[str]:
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    source = (ROOT / path).read_text(encoding="utf-8")
    return imported(source, module, is_package=path.name == "__init__.py")


def _part_of(path: Path) -> str:
    return Path(path.parts[1]).stem


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import perceiver_graph.cli.run", {"cli"}),
        ("from perceiver_graph.spec import load_spec", {"spec"}),
        ("from perceiver_graph import compile, __version__", {"compiler"}),
        ("def f():\n    from perceiver_graph import runtime", {"runtime"}),
        ("from .. import spec", {"spec"}),
        ("from ..diagnostics.model import Span", {"diagnostics"}),
        ("from .ir import Graph", {"compiler"}),
        ("import numpy\nfrom os import path", set()),
    ],
)
def test_imports_are_found(source: str, expected: set[str]) -> None:
    assert parts(imported(source, "perceiver_graph.compiler.lower")) == expected


def test_relative_imports_of_a_package_start_at_the_package() -> None:
    names = imported("from .ir import Graph", "perceiver_graph.compiler", is_package=True)
    assert names == {"perceiver_graph.compiler.ir.Graph"}


def test_every_part_is_here_and_has_a_rule() -> None:
    assert {_part_of(path) for path in MODULES} == set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_one_way(path: Path) -> None:
    part = _part_of(path)
    wrong = parts(_imports_of(path)) - ALLOWED.get(part, set()) - {part}
    assert not wrong, f"{path}: {part} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", _sources("perceiver_graph/runtime"), ids=str)
def test_runtime_never_imports_torch(path: Path) -> None:
    roots = {name.split(".")[0] for name in _imports_of(path)}
    assert not roots & {"torch", "transformers"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_onnxruntime_is_imported_in_one_place(path: Path) -> None:
    """Where its telemetry is turned off before."""
    roots = {name.split(".")[0] for name in _imports_of(path)}
    assert "onnxruntime" not in roots or path == Path("perceiver_graph/engine.py")


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_stay_small(path: Path) -> None:
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path} has {lines} lines: split it by what changes together"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("compiler", "perceiver_graph/compiler"),
        ("runtime", "perceiver_graph/runtime"),
        ("perceiver_graph/specs", "specs"),
    ],
)
def test_links_lead_to_their_folders(link: str, target: str) -> None:
    assert (ROOT / link).is_symlink()
    assert (ROOT / link).resolve() == ROOT / target
