"""What each process of tests/test_distributed.py does: three steps of SGD on its share of a batch.

`torchrun distributed_worker.py MODE SYSTEM OUT`; MODE is `single`, `ddp` or `fsdp`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from tests.test_training import fresh


def share(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The samples of this process."""
    rank, count = dist.get_rank(), dist.get_world_size()
    return {name: tensor.chunk(count)[rank] for name, tensor in tensors.items()}


def main(mode: str, name: str, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    module, inputs, asked = fresh(name)
    inputs = share(inputs)
    wrapped: Any = module
    if mode == "ddp":
        wrapped = DistributedDataParallel(module)
    elif mode == "fsdp":
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        for layer in module.modules():
            if type(layer).__name__ == "SelfAttend":
                fully_shard(layer, mesh=mesh)
        fully_shard(module, mesh=mesh)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        found = wrapped(inputs, asked)
        # A mean over samples, so that the mean over processes is that of the whole batch.
        loss = torch.stack([output.square().mean() for output in found.values()]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state = get_model_state_dict(module, options=whole)
    if dist.get_rank() == 0:
        torch.save(state, out)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(*sys.argv[1:])
