"""What a program does not use, it must not import: start-up stays fast and torch stays optional.

Each case runs in a process of its own, because this one has imported everything already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import perceiver_graph
from perceiver_graph.compiler.backends import base

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = {"onnx", "onnx_ir", "onnxruntime", "openvino", "torch", "transformers"}
SHIPPED = ("onnx", "torch")
STANDARD = sys.stdlib_module_names

# Runs `code` and writes the names of all loaded modules to the file named first.
PROBE = """
import atexit, json, sys
out = sys.argv.pop(1)
atexit.register(lambda: open(out, "w").write(json.dumps(sorted(sys.modules))))
{code}
"""
COMMAND = "from perceiver_graph.cli import main\nsys.exit(main())"

BAD_SPEC = "perceiver: 1\nname: broken\nlatents: {count: 4, width: [}\n"


def _probe(code: str, tmp_path: Path, *args: str, code_expected: int = 0) -> set[str]:
    """Run the code in a fresh interpreter; return the full names of the modules it loaded."""
    out = tmp_path / "modules.json"
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code), str(out), *args],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert done.returncode == code_expected, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return set(json.loads(out.read_text(encoding="utf-8")))


def _roots(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def test_the_probe_sees_what_is_imported(tmp_path: Path) -> None:
    assert "onnx" in _roots(_probe("import onnx", tmp_path))


def test_import_of_the_package_loads_nothing_else(tmp_path: Path) -> None:
    before = _probe("pass", tmp_path)
    loaded = _probe("import perceiver_graph", tmp_path) - before
    assert {name for name in loaded if name.startswith("perceiver_graph")} == {
        "perceiver_graph",
        "perceiver_graph.version",
    }
    assert _roots(loaded) - STANDARD == {"perceiver_graph"}


@pytest.mark.parametrize("name", [name for name in perceiver_graph.__all__ if name[0] != "_"])
def test_public_names_need_no_backend(name: str, tmp_path: Path) -> None:
    loaded = _probe(f"from perceiver_graph import {name}", tmp_path)
    assert not _roots(loaded) & BACKENDS


def test_each_backend_is_a_folder_and_starts_without_what_it_writes_with(tmp_path: Path) -> None:
    loaded = _probe("import perceiver_graph.compiler.driver", tmp_path)
    assert not _roots(loaded) & BACKENDS
    room = "perceiver_graph.compiler.backends"
    kinds = {name: kind.__module__ for name, kind in base.BACKENDS.items() if name in SHIPPED}
    assert kinds == {name: f"{room}.{name}.backend" for name in SHIPPED}
    inside = {name for name in loaded if name.startswith(f"{room}.")}
    folders = {f"{room}.{name}" for name in SHIPPED}
    assert inside == {f"{room}.base", *folders, *kinds.values()}


def test_public_names_are_kept_and_listed() -> None:
    for name in perceiver_graph.__all__:
        assert getattr(perceiver_graph, name) is getattr(perceiver_graph, name)
        assert name in dir(perceiver_graph)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'complie'"):
        getattr(perceiver_graph, "complie")  # noqa: B009


def test_the_runtime_needs_neither_torch_nor_the_compiler(tmp_path: Path) -> None:
    loaded = _probe("import perceiver_graph.runtime", tmp_path)
    assert not _roots(loaded) & {"torch", "transformers"}
    assert not {name for name in loaded if name.startswith("perceiver_graph.compiler")}


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "check kinetics",
        "check kinetics --format json",
        "inspect kinetics",
        "inspect kinetics --format json",
        "diff kinetics language",
        "diff kinetics --set latents.count=4 --format json",
        "graph kinetics",
        "graph kinetics --format dot",
        "graph kinetics --format mermaid",
        "graph kinetics --format json",
        "schema",
    ],
)
def test_commands_that_only_look_import_no_backend(command: str, tmp_path: Path) -> None:
    """Nor numpy, which takes a fifth of the time that looking at a spec does. `--format html` shows what the
    passes leave, and they compute with it: tests/cli/test_graph_html.py."""
    assert not _roots(_probe(COMMAND, tmp_path, *command.split())) & {*BACKENDS, "numpy"}


def test_check_reads_no_manifest(tmp_path: Path) -> None:
    assert "perceiver_graph.spec.manifest" not in _probe(COMMAND, tmp_path, "check", "kinetics")


@pytest.mark.parametrize("command", ["check", "inspect", "diff kinetics", "graph"])
def test_a_bad_spec_is_reported_without_a_backend(command: str, tmp_path: Path) -> None:
    spec = tmp_path / "broken.yaml"
    spec.write_text(BAD_SPEC, encoding="utf-8")
    loaded = _probe(COMMAND, tmp_path, *command.split(), str(spec), code_expected=1)
    assert not _roots(loaded) & BACKENDS
