"""Outputs as a whole: all positions of a grid, asked for in parts and put on its axes."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def decode_grids(
    decode: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    grids: dict[str, tuple[int, ...]],
    device: torch.device,
    chunks: int = 1,
    points: dict[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """What `decode` gives for every position of grids of these sizes, on their axes, and for points.

    In chunks, memory for one is enough.
    """
    places = {name: torch.arange(math.prod(x), device=device) for name, x in grids.items()}
    parts = {name: x.tensor_split(chunks) for name, x in places.items()}
    if points:
        parts |= {name: x.tensor_split(chunks, dim=1) for name, x in points.items()}
    found = []
    for i in range(chunks):
        # Beside points an output is asked at no positions: points alone would stand for all.
        part = {name: x[i] for name, x in parts.items() if chunks == 1 or points or len(x[i])}
        found.append(decode(part))
    outputs = dict(found[0])
    for name in parts if chunks > 1 else ():
        outputs[name] = torch.cat([part[name] for part in found if name in part], dim=-2)
    for name, sizes in grids.items():
        if len(sizes) > 1:
            outputs[name] = torch.unflatten(outputs[name], -2, sizes)
    return outputs
