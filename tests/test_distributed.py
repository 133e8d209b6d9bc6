"""DDP and FSDP2 on two gloo processes: the same training as one process, which needs them.

What is compared is how far each parameter moved, since most move much less than they are large.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.distributed_worker import MODES, begin, train

WORKER = Path(__file__).parent / "distributed_worker.py"
SYSTEMS = ("kinetics", "language", "imagenet_perceiver")
STILL = re.compile(r".*\.key\.bias|inputs\.(audio|image)\.mask|inputs\.label\.padding")
"""What training leaves where it is: softmax does not see what all keys have in common, and nothing
reads a mask token of what is there or the padding of what is always masked."""


def two_processes(name: str, folder: Path) -> dict[str, dict[str, Tensor]]:
    """The parameters after training in each mode; each process sees its half of the batch."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(WORKER), name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {mode: torch.load(folder / f"{mode}.pt") for mode in MODES}


def largest(difference: Tensor) -> float:
    return difference.abs().max().item()


@pytest.mark.parametrize("name", SYSTEMS)
def test_two_processes_train_as_one(name: str, tmp_path: Path) -> None:
    start, one = begin(name)[0].state_dict(), train(name).state_dict()
    moved = {n: largest(one[n] - start[n]) for n in start}
    # A hundredth of its own way for each parameter, and the rounding of a weight.
    tolerance = {n: 0.01 * way + 1e-7 for n, way in moved.items()}
    moving = {n for n, way in moved.items() if way > 10 * tolerance[n]}
    assert moving == {n for n in start if not STILL.fullmatch(n)}

    two = two_processes(name, tmp_path)
    apart = {mode: {n: largest(found[n] - one[n]) for n in one} for mode, found in two.items()}
    for mode in ("ddp", "fsdp"):
        assert two[mode].keys() == one.keys()
        assert not {n: d for n, d in apart[mode].items() if d > tolerance[n]}, mode
    # Did the halves have the same gradients, those who never synchronise would pass as well.
    assert not {n: d for n, d in apart["alone"].items() if n in moving and d < 5 * tolerance[n]}
