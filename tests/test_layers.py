"""Imports point one way: cli -> (compiler, runtime) -> spec -> diagnostics, and so do the rooms of the
compiler; no two modules import each other, by whatever way round; files stay small.

Compiler and runtime both write files, and share no more than `storage`, which knows of no model.

The check reads the source, so that it also sees imports inside functions and for type checkers.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "perceiver_graph"
MAX_LINES, MOST_OF_A_TEST = 350, 400

# What each part of the package may import from the others; every part may import itself.
ALLOWED: dict[str, set[str]] = {
    "version": set(),
    "choices": set(),
    "limits": set(),
    "formats": set(),
    "signals": set(),
    "diagnostics": set(),
    "engine": set(),
    "distributed": {"compiler"},
    "storage": {"signals", "diagnostics"},
    "extensions": {"diagnostics"},
    "spec": {"choices", "limits", "media", "extensions", "diagnostics"},
    "media": {"spec", "diagnostics"},
    "media files": {
        "formats",
        "limits",
        "media",
        "runtime",
        "signals",
        "spec",
        "storage",
        "diagnostics",
    },
    "compiler": {
        "choices",
        "formats",
        "limits",
        "engine",
        "extensions",
        "media",
        "spec",
        "storage",
        "diagnostics",
        "version",
    },
    "runtime": {
        "choices",
        "formats",
        "limits",
        "engine",
        "extensions",
        "media",
        "media files",
        "spec",
        "storage",
        "diagnostics",
    },
    "cluster": {
        "choices",
        "media",
        "media files",
        "extensions",
        "runtime",
        "signals",
        "spec",
        "storage",
        "diagnostics",
    },
    "looking": {
        "media",
        "media files",
        "runtime",
        "spec",
        "storage",
    },
    "serving": {
        "choices",
        "media",
        "media files",
        "runtime",
        "spec",
        "storage",
        "diagnostics",
        "version",
    },
    "testing": {"compiler", "spec", "diagnostics"},
    "cli": {
        "choices",
        "cluster",
        "compiler",
        "extensions",
        "looking",
        "media",
        "media files",
        "runtime",
        "serving",
        "signals",
        "spec",
        "storage",
        "diagnostics",
        "version",
    },
    "__init__": {"compiler", "extensions", "runtime", "spec", "diagnostics", "version"},
    "__main__": {"cli"},
}

# Media have two halves. Specs are made of the one that declares what a kind is and what it fits, which
# needs no more of the spec than what its other models need; "media files" reads and writes, with numpy.
DECLARING = {"__init__", "base", "equal", "fit", "kinds", "model", "bands", "pace", "tokens"}
BELOW_MEDIA = {"spec.arithmetic", "spec.models", "spec.models.base"}
# What the half that reads and writes may take from the runtime, which calls it.
HELPERS = {
    "arrays",
    "chunks",
    "kinds",
    "opening",
    "paths",
    "read_calls",
    "read_errors",
    "room",
    "sizes",
}

# What each room of the compiler may import from the others.
ROOMS: dict[str, set[str]] = {
    "ir": set(),
    "ops": {"ir"},
    "blocks": {"ir", "ops"},
    "lowering": {"ir", "ops", "blocks"},
    "programs": {"ir", "ops", "blocks", "lowering"},
    "passes": {"ir", "ops", "programs"},
    "weights": {"ir", "ops"},
    "importing": {"ir", "ops", "lowering", "weights"},
    "exporting": {"ir", "lowering", "weights", "importing"},
    "backends": {"ir", "ops", "blocks", "lowering", "programs", "passes"},
    "artifact": {"ir", "blocks", "lowering", "programs"},
    "driver": {
        "ir",
        "lowering",
        "passes",
        "programs",
        "weights",
        "backends",
        "artifact",
        "foreign",
    },
    "foreign": set(),
    "__init__": {"driver"},
}

# The public names of the package, by the part each of them comes from.
PUBLIC = {
    "DiagnosticError": "diagnostics",
    "Dim": "compiler",
    "Graph": "compiler",
    "compile": "compiler",
    "extend": "extensions",
    "import_checkpoint": "compiler",
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
    inside = {_part(name) for name in names if name.startswith("perceiver_graph.")}
    return {PUBLIC.get(part, part) for part in inside - {"__version__"}}


def _part(name: str) -> str:
    """The part of the package that a module, or a name in one, belongs to."""
    part, *below = name.split(".")[1:]
    declares = not below or not DECLARING.isdisjoint(below)
    return "media files" if part == "media" and not declares else part


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports_of(path: Path) -> set[str]:
    source = (ROOT / path).read_text(encoding="utf-8")
    return imported(source, _module(path), is_package=path.name == "__init__.py")


def _part_of(path: Path) -> str:
    return _part(_module(path)) if len(path.parts) > 2 else path.stem


def rooms(names: set[str]) -> set[str]:
    """The rooms of the compiler that the imported names belong to."""
    inside = [name.split(".") for name in names if name.startswith("perceiver_graph.compiler.")]
    return {room if (room := name[2]) in ROOMS else "__init__" for name in inside}


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
    assert parts(imported(source, "perceiver_graph.compiler.driver")) == expected


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


@pytest.mark.parametrize("path", _sources("perceiver_graph/media"), ids=str)
def test_media_need_little_of_the_spec_and_of_the_runtime(path: Path) -> None:
    names = {name.removeprefix("perceiver_graph.") for name in _imports_of(path)}
    if _part_of(path) == "media":
        spec = {name for name in names if name.startswith("spec.")}
        assert all(name in BELOW_MEDIA or name.rpartition(".")[0] in BELOW_MEDIA for name in spec)
    else:
        assert {name.split(".")[1] for name in names if name.startswith("runtime.")} <= HELPERS


COMPILER = _sources("perceiver_graph/compiler")


def test_every_room_of_the_compiler_has_a_rule() -> None:
    assert {Path(path.parts[2]).stem for path in COMPILER} == set(ROOMS)


@pytest.mark.parametrize("path", COMPILER, ids=str)
def test_imports_between_rooms_of_the_compiler_point_one_way(path: Path) -> None:
    room = Path(path.parts[2]).stem
    wrong = rooms(_imports_of(path)) - ROOMS[room] - {room}
    assert not wrong, f"{path}: {room} must not import {', '.join(sorted(wrong))}"


def test_no_modules_import_each_other() -> None:
    """By any way round, inside functions and for type checkers too."""
    modules = {_module(path): path for path in MODULES}
    imports = nx.DiGraph(
        (module, target)
        for module, path in modules.items()
        for name in _imports_of(path)
        if (target := name if name in modules else name.rpartition(".")[0]) in modules
    )
    # The front doors load what is behind them when it is first asked for.
    imports.remove_nodes_from(["perceiver_graph", "perceiver_graph.compiler"])
    circles = [sorted(found) for found in nx.simple_cycles(imports) if len(found) > 1]
    assert not circles


@pytest.mark.parametrize("path", _sources("perceiver_graph/runtime"), ids=str)
def test_runtime_never_imports_torch(path: Path) -> None:
    roots = {name.split(".")[0] for name in _imports_of(path)}
    assert not roots & {"torch", "transformers"}


KEPT = Path("perceiver_graph/runtime/processors")


@pytest.mark.parametrize("path", _sources(str(KEPT)), ids=str)
def test_names_that_are_kept_are_those_of_media(path: Path) -> None:
    """Modules that hand on what `__all__` lists, and nothing of their own."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert all(isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign) for node in tree.body)
    assert all(name.startswith("perceiver_graph.media.") for name in _imports_of(path))
    module = importlib.import_module(_module(path))
    handed_on = {name.rpartition(".")[2] for name in _imports_of(path)}
    assert set(getattr(module, "__all__", ())) == handed_on
    assert all(hasattr(module, name) for name in handed_on)


@pytest.mark.parametrize("path", [path for path in MODULES if KEPT not in path.parents], ids=str)
def test_names_that_are_kept_are_for_others(path: Path) -> None:
    assert not any(name.startswith(_module(KEPT / "x")[:-2]) for name in _imports_of(path))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_onnxruntime_is_imported_in_one_place(path: Path) -> None:
    """Where its telemetry is turned off before."""
    roots = {name.split(".")[0] for name in _imports_of(path)}
    assert "onnxruntime" not in roots or path == Path("perceiver_graph/engine.py")


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_stay_small(path: Path) -> None:
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    most = MAX_LINES if path in MODULES else MOST_OF_A_TEST
    assert lines <= most, f"{path} has {lines} lines: split it by what changes together"


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
