"""Installs into clean environments, as users make them: `make test-install`. Needs a package index.

Each extra, the lowest versions that are declared, and every Python that is on this machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch_support import SPEC
from tests.test_packaging import PROJECT, _build

pytestmark = pytest.mark.install


def pythons() -> list[str]:
    """Interpreters that are new enough: this one, and those on the PATH or kept by pyenv."""
    folders = [*os.environ["PATH"].split(os.pathsep)]
    kept = Path.home() / ".pyenv" / "versions"
    folders += [str(path / "bin") for path in kept.iterdir()] if kept.is_dir() else []
    found = {"{}.{}".format(*sys.version_info): sys.executable}
    for minor in range(11, 15):
        here = (Path(folder) / f"python3.{minor}" for folder in folders)
        # A shim of pyenv is there for versions that it does not let run.
        where = next((str(path) for path in here if path.is_file() and _works(path)), None)
        if where:
            found.setdefault(f"3.{minor}", where)
    return list(found.values())


def _works(python: Path) -> bool:
    done = subprocess.run([str(python), "-c", "import venv"], capture_output=True, check=False)
    return not done.returncode


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("dist"), "--wheel")


class Environment:
    """A virtual environment in which nothing of this checkout can be found."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        subprocess.run([python, "-m", "venv", str(folder / "env")], check=True)

    def run(self, *command: str, fails: bool = False) -> str:
        name, *rest = command
        words = [str(self.folder / "env" / "bin" / name), *rest]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_CON"))}
        done = subprocess.run(
            words, cwd=self.folder, env=clean, capture_output=True, text=True, check=False
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, *what: str) -> None:
        self.run("pip", "install", "-q", "--disable-pip-version-check", *what)

    def try_it(self) -> None:
        """From a spec to an answer."""
        (self.folder / "tiny.yaml").write_text(SPEC, encoding="utf-8")
        assert "ok" in self.run("perceiver-graph", "check", "tiny.yaml", "kinetics")
        assert "52,097" in self.run("perceiver-graph", "inspect", "kinetics")
        self.run("perceiver-graph", "compile", "tiny.yaml", "-o", "tiny")
        assert "label: class" in self.run("perceiver-graph", "run", "tiny", "a text", "-o", "out")


@pytest.mark.parametrize("python", pythons())
def test_the_base_install(python: str, wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path, python)
    environment.install(str(wheel))
    environment.run("pip", "check")
    environment.try_it()
    said = environment.run(
        "perceiver-graph", "run", "tiny", "a text", "--device", "cuda", fails=True
    )
    assert "PG601" in said


def test_the_lowest_versions(wheel: Path, tmp_path: Path) -> None:
    """Each direct dependency in the first version that it is said to work with."""
    lowest = [
        re.sub(r"^([A-Za-z0-9._-]+)>=([\w.]+).*", r"\1==\2", one) for one in PROJECT["dependencies"]
    ]
    assert all("==" in one for one in lowest)
    environment = Environment(tmp_path)
    environment.install(str(wheel), *lowest)
    environment.try_it()


def test_media(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.install(f"{wheel}[media]")
    environment.try_it()
    environment.run("python", "-c", "from PIL import Image; Image.new('RGB', (9, 9)).save('p.png')")
    environment.run("perceiver-graph", "compile", "imagenet_conv", "-o", "picture")
    assert "label: class" in environment.run("perceiver-graph", "run", "picture", "p.png")


@pytest.mark.parametrize("version", ["", "==2026.3.0"])
def test_openvino(wheel: Path, version: str, tmp_path: Path) -> None:
    """The newest, and the first that the extra permits."""
    environment = Environment(tmp_path)
    environment.install(f"{wheel}[openvino]", f"openvino{version}")
    environment.run("pip", "check")
    environment.try_it()
    said = environment.run("perceiver-graph", "run", "tiny", "a text", "--engine", "openvino")
    assert "label: class" in said


def test_torch(wheel: Path, tmp_path: Path) -> None:
    """With torch installed first, from wherever, the extra brings no other."""
    environment = Environment(tmp_path)
    environment.install("torch==2.13.0")
    environment.install(f"{wheel}[torch]")
    environment.try_it()
    code = "import perceiver_graph as pg; print(pg.compile('tiny.yaml').to_torch())"
    assert "SelfAttendLayer" in environment.run("python", "-c", code)


def test_what_is_printed_gives_cuda(wheel: Path, tmp_path: Path) -> None:
    """The extra alone does not: the commands of the diagnostic do. (Loading it needs a GPU.)"""
    environment = Environment(tmp_path)
    environment.install(f"{wheel}[gpu]")
    environment.try_it()
    providers = "import onnxruntime as o; print(o.get_available_providers())"
    if "CUDA" not in environment.run("python", "-c", providers):
        said = environment.run(
            "perceiver-graph", "run", "tiny", "a", "--device", "cuda", fails=True
        )
        commands = re.search(r"`(pip uninstall [^`]*)`", said)
        assert commands
        for command in commands[1].split(" && "):
            environment.run(*command.split())
    assert "CUDAExecutionProvider" in environment.run("python", "-c", providers)
    environment.try_it()
