"""The distribution: what is in the wheel, what it asks for, and that it works when installed.

The wheel is built twice, from the checkout and through the sdist, and nothing is downloaded.
"""

from __future__ import annotations

import configparser
import email
import os
import re
import stat
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from pathlib import Path

import pytest

import perceiver_graph

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

BASE = {
    "jsonschema",
    "networkx",
    "numpy",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "pydantic",
    "pyyaml",
    "rich",
    "safetensors",
    "typer",
}


def _build(target: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "-o", str(target)]
    done = subprocess.run(
        [*command, str(ROOT)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module", params=["checkout", "sdist"])
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built straight from the checkout, and one built from the sdist of it."""
    options = ["--wheel"] if request.param == "checkout" else []
    return _build(tmp_path_factory.mktemp(request.param), *options)


def _names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def _dist_info(wheel: Path, name: str) -> str:
    (path,) = [path for path in _names(wheel) if path.endswith(f".dist-info/{name}")]
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(path).decode()


def _metadata(wheel: Path) -> Message:
    return email.message_from_string(_dist_info(wheel, "METADATA"))


def _normal(requirement: str) -> str:
    """The name of a requirement, as package indexes compare names."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def test_nothing_generic_lands_in_site_packages(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in _names(wheel)}
    assert tops == {"perceiver_graph", f"perceiver_graph-{perceiver_graph.__version__}.dist-info"}


def test_every_module_is_in_the_wheel_once(wheel: Path) -> None:
    names = _names(wheel)
    assert len(names) == len(set(names))
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "perceiver_graph").rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert {name for name in names if name.endswith(".py")} == expected
    assert "perceiver_graph/py.typed" in names
    page = ROOT / "perceiver_graph" / "cli" / "page"
    parts = {f"perceiver_graph/cli/page/{path.name}" for path in page.iterdir() if path.is_file()}
    assert parts <= set(names)
    assert not [name for name in names if "__pycache__" in name]


def test_the_specs_are_in_the_wheel_as_files(wheel: Path) -> None:
    shipped = sorted((ROOT / "specs").glob("*.yaml"))
    assert ROOT / "specs" / "kinetics.yaml" in shipped
    with zipfile.ZipFile(wheel) as archive:
        for path in [*shipped, ROOT / "specs" / "schema.json"]:
            info = archive.getinfo(f"perceiver_graph/specs/{path.name}")
            assert not stat.S_ISLNK(info.external_attr >> 16)
            assert archive.read(info) == path.read_bytes()


def test_metadata(wheel: Path) -> None:
    metadata = _metadata(wheel)
    assert metadata["Name"] == "perceiver-graph"
    assert metadata["Version"] == perceiver_graph.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Apache License" in _dist_info(wheel, "licenses/LICENSE")


def test_the_base_install_has_no_torch(wheel: Path) -> None:
    required: list[str] = _metadata(wheel).get_all("Requires-Dist") or []
    assert {_normal(line) for line in required if "extra ==" not in line} == BASE
    assert set(_metadata(wheel).get_all("Provides-Extra") or []) == {
        "openvino",
        "ray",
        "serve",
        "torch",
        "media",
        "hub",
        "gpu",
        "docs",
        "dev",
    }


def test_the_command_is_installed(wheel: Path) -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(_dist_info(wheel, "entry_points.txt"))
    assert dict(scripts["console_scripts"]) == {"perceiver-graph": "perceiver_graph.cli:main"}


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = run("-c", "import perceiver_graph; print(perceiver_graph.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    assert '"kinetics"' in run("-m", "perceiver_graph", "inspect", "kinetics", "--format", "json")


def test_constraints_pin_all_that_make_installs() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s=]+", line) for line in pins)
    assert "torch==2.13.0" in pins
    extras = PROJECT["optional-dependencies"]
    installed = [
        *PROJECT["dependencies"],
        *extras["torch"],
        *extras["media"],
        *extras["openvino"],
        *extras["dev"],
        *extras["docs"],
    ]
    assert {_normal(line) for line in installed} <= {_normal(line) for line in pins}


def test_make_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^ +make ([a-z-]+) ", done.stdout, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert listed == set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, flags=re.MULTILINE))
    assert {"help", "run", "test", "test-full"} <= listed


def test_ci_runs_what_the_readme_says() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "for target in test test-full;" in script.read_text(encoding="utf-8")


def test_a_package_index_can_show_it(wheel: Path) -> None:
    """Links of README lead out of the page, to the project; interpreters and places are named."""
    metadata = _metadata(wheel)
    urls = dict(line.split(", ", 1) for line in metadata.get_all("Project-URL") or [])
    assert {"Homepage", "Documentation", "Issues"} <= set(urls)
    classifiers = metadata.get_all("Classifier") or []
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(
        classifiers
    )
    text = str(metadata.get_payload())
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert f"{urls['Homepage']}/blob/main/docs/spec.md" in targets
    assert not [target for target in targets if not target.startswith(("https://", "#"))]


def test_typer_knows_literals() -> None:
    """Before 0.19 every command ends in `Type not yet supported: typing.Literal`."""
    assert "typer>=0.19" in PROJECT["dependencies"]
