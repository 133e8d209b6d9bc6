"""The recipe of checkpoints of several processes: saved by four, loaded by two, and back to one file."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import perceiver_graph as pg

SCRIPT = Path(__file__).parent.parent / "examples" / "train_distributed.py"


def script() -> Any:
    spec = util.spec_from_file_location("train_distributed", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    found = util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def run(folder: Path, processes: int, *words: object) -> str:
    """What the script says, started by torchrun where there are several processes."""
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(start if processes else []), str(SCRIPT), "-o", str(folder)]
    command += map(str, words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.full
def test_four_processes_save_two_load_and_one_file_comes_of_it(tmp_path: Path) -> None:
    """Weights, the momentum of the optimiser and the step: as if one process had done it all."""
    assert "step 3: loss" in run(tmp_path, 4, "--steps", 3)
    shards = sorted(path.name for path in (tmp_path / "checkpoint").glob("*.distcp"))
    assert shards == [f"__{rank}_0.distcp" for rank in range(4)]
    later = run(tmp_path, 2, "--steps", 6)
    assert ("step 3:" in later, "step 4:" in later) == (False, True)
    assert "pictures are told right" in run(tmp_path, 0, "--export")

    recipe = script()
    one = recipe.train(6).state_dict()
    start = pg.compile(recipe.SPEC).weights(seed=1)
    found = load_file(tmp_path / "weights.safetensors")
    assert found.keys() == one.keys()
    for name, tensor in found.items():
        way = (one[name] - torch.as_tensor(np.asarray(start[name]))).abs().max().item()
        assert (tensor - one[name]).abs().max().item() <= 0.01 * way + 1e-6, name

    module = pg.compile(recipe.SPEC).to_torch(found).eval()
    pictures, _ = recipe.draw(7)
    with torch.no_grad():
        wanted = module({"image": pictures})["label"].numpy()
    program = pg.load(tmp_path / "onnx", device="cpu")
    got = program.run({"image": pictures.numpy()})["label"]
    np.testing.assert_allclose(got, wanted, atol=1e-5)
