"""Modules that were saved whole, `torch.save(model)`: the program that is told converts each of them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.weights import initialize, load
from perceiver_graph.compiler.weights.files import read_tensors
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.loader import parse_spec
from tests.checkpoints import SPEC, Tensors, small

ROOT = Path(__file__).resolve().parent.parent


class Net(torch.nn.Module):
    """A module of a user's, saved whole."""

    def __init__(self, values: Tensors) -> None:
        super().__init__()
        for name, value in values.items():
            *path, last = name.split(".")
            part: torch.nn.Module = self
            for word in path:
                if not hasattr(part, word):
                    part.add_module(word, torch.nn.Module())
                part = getattr(part, word)
            part.register_parameter(last, torch.nn.Parameter(torch.from_numpy(value)))


WHOLE: dict[str, Callable[[Any], Any]] = {
    "a module": lambda net: net,
    "one in a checkpoint": lambda net: {"epoch": 3, "model": net},
    "one for several devices": torch.nn.DataParallel,
}


def told(call: Callable[[], object]) -> str:
    """The program in the help of what a call raises."""
    with pytest.raises(DiagnosticError) as caught:
        call()
    help = str(caught.value.diagnostics[0].help)
    return help[help.index("import torch") :]


def run(*words: str, cwd: Path) -> None:
    done = subprocess.run(
        [sys.executable, *words], check=False, cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("what", WHOLE)
def test_the_program_in_the_help_converts_a_module_that_was_saved_whole(
    what: str, is_zip: bool, tmp_path: Path
) -> None:
    graph = small()
    values, path = initialize(graph, 0), tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the source of a class, which old files have
        torch.save(WHOLE[what](Net(values)), path, _use_new_zipfile_serialization=is_zip)
    program = told(lambda: load(path, graph))
    run("-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program}", cwd=tmp_path)
    converted = load(tmp_path / "model.safetensors", graph)
    assert all(np.array_equal(converted[name], value) for name, value in values.items())


def test_a_module_of_a_script_is_loaded_with_its_class(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.linear = torch.nn.Linear(2, 3)\n"
        "if __name__ == '__main__':\n    torch.save(Net(), 'net.pt')\n",
        encoding="utf-8",
    )
    run("train.py", cwd=tmp_path)
    path = tmp_path / "net.pt"
    for call in (lambda: read_tensors(path), lambda: pg.import_checkpoint(path)):
        program = told(call)
        assert "from SCRIPT import Net" in program
        run("-c", program.replace("SCRIPT", "train"), cwd=tmp_path)
        found = read_tensors(tmp_path / "net.safetensors").tensors
        shapes = {name: one.shape for name, one in found.items()}
        assert shapes == {"linear.weight": (3, 2), "linear.bias": (3,)}
        (tmp_path / "net.safetensors").unlink()


def test_a_module_of_this_package_that_was_saved_whole(tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(SPEC))
    module = compiled.to_torch(seed=3)
    torch.save(module, tmp_path / "mine.pt")
    run("-c", told(lambda: compiled.to_torch(tmp_path / "mine.pt")), cwd=tmp_path)
    again = compiled.to_torch(tmp_path / "mine.safetensors")
    for name, value in module.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
