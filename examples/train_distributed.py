"""Train a classifier on several processes (FSDP2), with checkpoints that any number of them goes on from.

    torchrun --nproc-per-node 4 examples/train_distributed.py --steps 30 -o build/several
    torchrun --nproc-per-node 2 examples/train_distributed.py --steps 60 -o build/several
    python examples/train_distributed.py --export -o build/several

Each process writes its shards of weights and of the optimiser's state to `build/several/checkpoint`,
and reads those that it has then. `--export` needs no group: it makes one safetensors file of the weights
and compiles it to ONNX. The model tells which half of a small picture is brighter.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.fsdp import fully_shard

import perceiver_graph as pg

SPEC = """
perceiver: 1
name: halves
inputs:
  image:
    shape: {height: 8, width: 8, channel: 3}
    position: {fourier: {bands: 4}}
latents: {count: 8, width: 32}
process: {layers: 2, blocks: 2, heads: 4}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}, media: {classes: {names: [left, right]}}}
"""
BATCH, RATE, MOMENTUM = 32, 0.05, 0.9


def draw(seed: int) -> tuple[Tensor, Tensor]:
    """A batch of pictures, and which half of each is brighter."""
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.rand(BATCH, 8, 8, 3, generator=generator)
    labels = torch.randint(2, (BATCH,), generator=generator)
    halves = pictures.view(BATCH, 8, 2, 4, 3)
    halves[torch.arange(BATCH), :, labels] += 0.4
    return pictures, labels


def sharded(model: torch.nn.Module) -> torch.nn.Module:
    """The model with its weights split over the processes of the group."""
    for layer in model.modules():
        if type(layer).__name__ == "SelfAttendLayer":
            fully_shard(layer)
    fully_shard(model)
    return model


def state_of(model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> dict[str, Any]:
    """What a checkpoint holds; loading fills it in place, the step too."""
    weights, moments = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": moments, "step": torch.tensor(step)}


def train(steps: int, folder: Path | None = None, rank: int = 0, world: int = 1) -> torch.nn.Module:
    """Train up to a step, from the last checkpoint on, and write one."""
    compiled = pg.compile(SPEC)
    model = compiled.to_torch(compiled.weights(seed=1)).train()
    if dist.is_initialized():
        model = sharded(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    begun, place = 0, folder / "checkpoint" if folder else None
    if place is not None and (place / ".metadata").exists():
        state = state_of(model, optimizer, 0)
        load(state, checkpoint_id=place)
        set_state_dict(
            model,
            optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
        )
        begun = int(state["step"])
    for step in range(begun, steps):
        pictures, labels = (part.chunk(world)[rank] for part in draw(step))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model({"image": pictures})["label"], labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if rank == 0:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    if place is not None:
        save(state_of(model, optimizer, steps), checkpoint_id=place)
    return model


def export(folder: Path) -> None:
    """Make one file of the shards, and a program of that: in one process, without a group."""
    compiled = pg.compile(SPEC)
    state = {"model": compiled.to_torch().state_dict()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no group
        load(state, checkpoint_id=folder / "checkpoint")
    save_file(state["model"], folder / "weights.safetensors")
    compiled.save(folder / "onnx", weights=folder / "weights.safetensors")
    program = pg.load(folder / "onnx", device="cpu")
    pictures, labels = draw(10**6)
    found = program.run({"image": pictures.numpy()})["label"].argmax(-1)
    right = int((found == labels.numpy()).sum())
    print(f"{right} of {BATCH} new pictures are told right by the ONNX program")


def main() -> None:
    """Train as one process of a group, or export what a group has trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--export", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/several"))
    options = parser.parse_args()
    if options.export:
        export(options.output)
        return
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    train(options.steps, options.output, dist.get_rank(), dist.get_world_size())
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # threads of gloo that outlive Python may abort (pytorch issue 190489)


if __name__ == "__main__":
    main()
