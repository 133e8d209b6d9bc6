"""Two frames of a scene, and the exact flow: cut-outs that move over a photograph that moves.

A layer is a texture, where the first frame sees it, and a motion; both are affine maps, so where a pixel
goes is known, and nothing of it is estimated.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 64
"""Pixels of a frame, in height and width."""
LONGEST = 6.0
"""Pixels that a cut-out moves at the most; a photograph moves five eighths of that."""


def scenes(
    photographs: Tensor, cut_outs: Tensor, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Frames [batch, 2, SIZE, SIZE, 3] in [0, 1], the flow from the first to the second in pixels, right
    and down, [batch, SIZE, SIZE, 2], and where cut-outs are in the first, [batch, SIZE, SIZE].

    photographs: uint8 [batch, side, side, 3]; cut_outs: uint8 [batch, count, side, side, 4], the last
    one in front. Whatever stands still in the photograph moves with it.
    """
    draw = Draw(len(photographs), random)
    frames, flow = layer(
        textures(photographs),
        draw.placed(scale=(0.7, 1.4), turn=0.3, away=4.0),
        draw.moved(LONGEST * 5 / 8, turn=0.05, growth=0.04),
    )
    covered = torch.zeros(flow.shape[:3], dtype=torch.bool)
    for cut_out in textures(cut_outs).unbind(1):
        side = cut_out.shape[-1]
        seen, own = layer(
            cut_out,
            draw.placed(scale=(side / 40, side / 18), turn=0.5, away=SIZE / 2),
            draw.moved(LONGEST, turn=0.1, growth=0.06),
        )
        frames = seen[:, :, :3] + frames[:, :, :3] * (1 - seen[:, :, 3:])
        front = seen[:, 0, 3] > 0.5
        flow = torch.where(front[..., None], own, flow)
        covered |= front
    light = 1 + 0.05 * draw.between(-1, 1, 2, 1, 1, 1)
    noise = 0.01 * torch.randn(frames.shape, generator=random)
    return (frames * light + noise).clamp(0, 1).permute(0, 1, 3, 4, 2), flow, covered


class Draw:
    """Random maps for a batch, of coordinates in pixels from the middle, [batch, 3, 3]."""

    def __init__(self, count: int, random: torch.Generator) -> None:
        self.count, self.random = count, random

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """Evenly between two numbers, [batch, *shape]."""
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.random)

    def placed(self, scale: tuple[float, float], turn: float, away: float) -> Tensor:
        """Where the first frame sees a texture: pixels of it to a pixel, mirrored half of the times."""
        mirrored = 1 - 2.0 * (self.between(0, 1) < 0.5)
        size = torch.exp(self.between(math.log(scale[0]), math.log(scale[1])))
        around = affine(size, self.between(-turn, turn), torch.zeros(self.count, 2))
        around[:, 0] *= mirrored[:, None]
        return around @ affine(
            torch.ones(self.count), torch.zeros(self.count), self.between(-away, away, 2)
        )

    def moved(self, longest: float, turn: float, growth: float) -> Tensor:
        """Where a layer goes from the first frame to the second."""
        angle, length = self.between(-math.pi, math.pi), self.between(0, longest)
        step = torch.stack([torch.cos(angle) * length, torch.sin(angle) * length], -1)
        return affine(1 + self.between(-growth, growth), self.between(-turn, turn), step)


def affine(size: Tensor, turn: Tensor, step: Tensor) -> Tensor:
    """Maps that enlarge and turn around the middle, then shift, [batch, 3, 3]."""
    cos, sin, zero = torch.cos(turn) * size, torch.sin(turn) * size, torch.zeros_like(size)
    rows = [
        torch.stack([cos, -sin, step[:, 0]], -1),
        torch.stack([sin, cos, step[:, 1]], -1),
        torch.stack([zero, zero, zero + 1], -1),
    ]
    return torch.stack(rows, 1)


def layer(texture: Tensor, place: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """A texture [batch, channels, side, side] in both frames, [batch, 2, channels, SIZE, SIZE], and where
    it goes, [batch, SIZE, SIZE, 2]. A layer turns and grows around where it is."""
    middle = -torch.linalg.solve(place[:, :2, :2], place[:, :2, 2:]).squeeze(-1)
    there = affine(torch.ones(len(place)), torch.zeros(len(place)), middle)
    motion = there @ motion @ torch.linalg.inv(there)
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([columns, rows, torch.ones_like(rows)], -1)

    def mapped(by: Tensor) -> Tensor:
        return torch.einsum("bij,hwj->bhwi", by[:, :2], pixels)

    padding = "reflection" if texture.shape[1] == 3 else "zeros"
    seen = [
        F.grid_sample(
            texture,
            mapped(by) / (texture.shape[-1] / 2),
            padding_mode=padding,
            align_corners=False,
        )
        for by in (place, place @ torch.linalg.inv(motion))
    ]
    return torch.stack(seen, 1), mapped(motion) - pixels[..., :2]


def textures(pictures: Tensor) -> Tensor:
    """Pictures uint8 [..., side, side, channels] with their channels first, colours times opacity."""
    parts = pictures.float().movedim(-1, -3) / 255
    if parts.shape[-3] == 3:
        return parts
    colour, opacity = parts.narrow(-3, 0, 3), parts.narrow(-3, 3, 1)
    return torch.cat([colour * opacity, opacity], -3)
