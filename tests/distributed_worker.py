"""What each process of tests/test_distributed.py does: a few steps of SGD on its share of a batch.

`torchrun distributed_worker.py SYSTEM FOLDER` trains once in each mode, `FOLDER/MODE.pt` is what the
first process has in the end. The test trains the whole batch by the same functions, without a group.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from tests.test_training import enlarge, fresh

STEPS = 3
RATE = 0.03


def alone(module: Any) -> Any:
    """Nothing that synchronises: the mode that must not end where one process does."""
    return module


def ddp(module: Any) -> Any:
    return DistributedDataParallel(module)


def fsdp(module: Any) -> Any:
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    layers = [layer for layer in module.modules() if type(layer).__name__ == "SelfAttendLayer"]
    assert layers
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    return fully_shard(module, mesh=mesh)


MODES: dict[str, Callable[[Any], Any]] = {"alone": alone, "ddp": ddp, "fsdp": fsdp}


def share(tensors: dict[str, Tensor], part: int, parts: int) -> dict[str, Tensor]:
    """The samples of one process."""
    return {name: tensor.chunk(parts)[part] for name, tensor in tensors.items()}


def begin(name: str) -> tuple[Any, dict[str, Tensor], dict[str, Tensor] | None]:
    """The module of a system, inputs and queries; with the small weights of a new module, some of
    its gradients would be lost in rounding."""
    module, inputs, asked = fresh(name)
    enlarge(name, module, 5)
    return module, inputs, asked


def train(name: str, mode: str = "alone", part: int = 0, parts: int = 1) -> Any:
    """The module of a system after a few steps on its share of a batch with random targets."""
    module, inputs, asked = begin(name)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        shapes = {output: found.shape for output, found in module(inputs, asked).items()}
    # Targets far from the outputs and of each sample others, so that no share does for another.
    targets = {n: 3 * torch.randn(shape, generator=generator) for n, shape in shapes.items()}
    inputs, targets = share(inputs, part, parts), share(targets, part, parts)
    wrapped = MODES[mode](module)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        found = wrapped(inputs, asked)
        # A mean over samples, so that the mean over processes is that of the whole batch.
        errors = [(output - targets[n]).square().mean() for n, output in found.items()]
        torch.stack(errors).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return module


def main(name: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    for mode in MODES:
        module = train(name, mode, rank, dist.get_world_size())
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = get_model_state_dict(module, options=whole)
        if rank == 0:
            torch.save(state, Path(folder) / f"{mode}.pt")
    dist.barrier()
    dist.destroy_process_group()


def leave() -> NoReturn:
    """End the process, without waiting for threads of gloo: those that outlive the interpreter now and
    then abort one that has done all it should (https://github.com/pytorch/pytorch/issues/190489). What
    is tested is in the files."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
