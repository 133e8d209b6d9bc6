"""What each process of tests/test_shard_keys.py does: outputs and gradients with the keys of encode in
parts, and how many numbers are sent for it.

`torchrun keys_worker.py FOLDER SYSTEM...` writes `FOLDER/SYSTEM.pt` of the first process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
import torch.distributed as dist
from torch import Tensor

from perceiver_graph import distributed
from tests.distributed_worker import leave
from tests.test_training import enlarge, fresh

BLOCK = 7
"""Keys at once: so few that small models take several blocks."""


def begin(name: str) -> tuple[Any, dict[str, Tensor], Any]:
    """The module of a system in float64, so that what is compared is not rounding, and its inputs."""
    module, inputs, asked = fresh(name)
    enlarge(name, module, 5)
    module = module.double().eval()
    generator = torch.Generator().manual_seed(6)
    for parameter in module.parameters():
        if not parameter.any():  # a new head would hide all that is before it
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return module, {n: x.double() if x.is_floating_point() else x for n, x in inputs.items()}, asked


def pass_through(module: Any, inputs: dict[str, Tensor], asked: Any) -> dict[str, Tensor]:
    """Outputs, and gradients of a loss that takes no output like another."""
    outputs = module(inputs, asked)
    generator = torch.Generator().manual_seed(3)
    loss = torch.zeros((), dtype=torch.float64)
    for name in sorted(outputs):
        aim = torch.randn(outputs[name].shape, generator=generator, dtype=torch.float64)
        loss = loss + (outputs[name] - aim).square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return {f"output {name}": x.detach() for name, x in outputs.items()}


def gradients(module: Any) -> dict[str, Tensor]:
    return {n: p.grad for n, p in module.named_parameters() if p.grad is not None}


def main(folder: str, *names: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    distributed._BLOCK = BLOCK
    sent: list[int] = []
    reduce = dist.all_reduce

    def counted(tensor: Tensor, *args: Any, **settings: Any) -> Any:
        sent.append(tensor.numel())
        return reduce(tensor, *args, **settings)

    for name in names:
        module, inputs, asked = begin(name)
        distributed.shard_keys(module)
        sent.clear()
        dist.all_reduce = counted
        found = pass_through(module, inputs, asked)
        dist.all_reduce = reduce
        alone = {f"alone {n}": g.clone() for n, g in gradients(module).items()}
        distributed.average_gradients(module)
        found |= gradients(module) | alone | {"sent": torch.tensor(sent)}
        if dist.get_rank() == 0:
            torch.save(found, Path(folder) / f"{name}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
