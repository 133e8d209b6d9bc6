"""DDP and FSDP2 on two gloo processes: the same weights after the same steps as one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

WORKER = Path(__file__).parent / "distributed_worker.py"
SYSTEMS = ("kinetics", "language", "imagenet_perceiver")


def run(mode: str, name: str, folder: Path) -> dict[str, torch.Tensor]:
    """The parameters after a few steps; each of the processes sees its share of the batch."""
    processes = 1 if mode == "single" else 2
    out = folder / f"{mode}.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", str(WORKER), mode, name, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, torch.Tensor] = torch.load(out)
    return found


@pytest.mark.parametrize("name", SYSTEMS)
def test_two_processes_train_as_one(name: str, tmp_path: Path) -> None:
    expected = run("single", name, tmp_path)
    for mode in ("ddp", "fsdp"):
        found = run(mode, name, tmp_path)
        assert found.keys() == expected.keys()
        for parameter, value in expected.items():
            torch.testing.assert_close(found[parameter], value, rtol=1e-3, atol=2e-5, msg=parameter)
