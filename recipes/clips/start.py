"""Where training starts: latents that are spread over the clip, each reading what is near its place.

Perceivers find out by themselves which latent reads which part, but a model of this size takes most of
its training to do so. Here the first maps of queries and keys are solved for, so that a latent begins with
the patches and the sound around a place of its own, and a pixel with the latents around it. All of it is
trained on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from recipes.clips.scenes import FRAMES, SIDE, clip
from recipes.starting import Array, Watch, arrays, places, solved

CELLS = (4, 5, 5)
"""The latents, over time, height and width."""
TURNS = {
    "image": ((0.5, 1.0, 1.5, 2.0), (0.5, 1.0, 2.0, 3.0), (0.5, 1.0, 2.0, 3.0)),
    "audio": (tuple(np.linspace(0.5, 31.5, 16)),),
}
"""Half cycles over an axis, of the waves by which places are told. Whole cycles alone, as positions have
them, would take one edge for the other."""
DEPTH = 32
"""Channels of a head."""
SHARPNESS = 1.0
"""How much a place is preferred to those around it."""


def waves(points: Array, name: str) -> Array:
    """Sines and cosines of points: products of two such vectors are largest where the points are one."""
    parts = []
    for axis, turns in enumerate(TURNS[name]):
        angles = np.pi * points[:, axis, None] * np.array(turns)
        parts += [np.sin(angles), np.cos(angles)]
    return np.concatenate(parts, -1)


def spread(model: nn.Module) -> None:
    """Spread the latents of the model of this recipe over the clip."""
    cells = places(*CELLS)
    moments = places(64)[np.arange(len(cells)) * 64 // len(cells)]
    clips = [clip(0, number, testing=False) for number in range(32)]
    frames = torch.from_numpy(np.stack([one.frames for one in clips])).float() / 255
    samples = torch.from_numpy(np.stack([one.samples for one in clips]))
    inputs = {"image": frames, "audio": samples}
    parameters = dict(model.named_parameters())
    encoder, decoder = "encoder.cross_attend.attention", "decoder.cross_attend.attention"
    corners = [np.array([0, y, x]) * 0.5 / CELLS[1] for y in (-1, 1) for x in (-1, 1)]

    def watched(*names: str) -> list[Tensor]:
        watches = [Watch(model.get_submodule(name)) for name in names]
        with torch.no_grad():
            model(inputs)
        for watch in watches:
            watch.stop()
        return [watch.output for watch in watches]

    def put(name: str, head: int, values: Array) -> None:
        rows = slice(head * DEPTH, head * DEPTH + len(values))
        with torch.no_grad():
            parameters[f"{name}.weight"][rows] = torch.from_numpy(values).float()

    scale = np.sqrt(SHARPNESS * np.sqrt(DEPTH))
    with torch.no_grad():
        own = np.concatenate([waves(cells, "image"), waves(moments, "audio")], -1)
        parameters["latents"][:, : own.shape[1]] = torch.from_numpy(own).float()
        for part in ("query", "key"):
            parameters[f"{encoder}.{part}.weight"].zero_()
    tokens, latents = watched(f"{encoder}.input_norm", f"{encoder}.latent_norm")
    seen, heard = arrays(tokens[:, 64:320]), arrays(tokens[:, :64])
    grid = np.tile(waves(on_ends(FRAMES // 2, SIDE // 4, SIDE // 4), "image"), (len(clips), 1))
    times = np.tile(waves(on_ends(64), "audio"), (len(clips), 1))
    named = np.repeat(arrays(tokens[:, 320:]), 64, 0)
    every = np.concatenate([seen, heard, named])
    nowhere = np.zeros((len(every), grid.shape[1] + times.shape[1]))
    nowhere[: len(seen), : grid.shape[1]] = grid
    nowhere[len(seen) : len(seen) + len(heard), grid.shape[1] :] = times
    both = solved(every, nowhere)
    pictures, sounds = both[: grid.shape[1]], both[grid.shape[1] :]
    for head, corner in enumerate(corners):
        put(f"{encoder}.key", head, scale * pictures)
        put(
            f"{encoder}.query",
            head,
            scale * solved(arrays(latents), waves(cells + corner, "image")),
        )
    put(f"{encoder}.key", 4, scale * sounds)
    put(f"{encoder}.query", 4, scale * solved(arrays(latents), waves(moments, "audio")))

    (read,) = watched(f"{decoder}.input_norm")
    asked = [queries(model, f"{decoder}.query_norm", name) for name in ("image", "audio")]
    near = solved(arrays(read), np.tile(waves(cells, "image"), (len(clips), 1)))
    pixels = solved(asked[0], waves(on_ends(FRAMES, SIDE, SIDE), "image"))
    for head in range(3):
        put(f"{decoder}.key", head, scale * near)
        put(f"{decoder}.query", head, scale * pixels)
    put(
        f"{decoder}.key",
        3,
        scale * solved(arrays(read), np.tile(waves(moments, "audio"), (len(clips), 1))),
    )
    put(f"{decoder}.query", 3, scale * solved(asked[1], waves(on_ends(64), "audio")))


def on_ends(*counts: int) -> Array:
    """The points of a grid whose first and last are at -1 and 1, as positions are made."""
    axes = [np.linspace(-1, 1, count) for count in counts]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(counts))


def queries(model: nn.Module, norm: str, name: str) -> Array:
    """What the decoder reads as the queries of an output."""
    watch = Watch(model.get_submodule(norm))
    inputs = {
        "image": torch.zeros(1, FRAMES, SIDE, SIDE, 3),
        "audio": torch.zeros(1, 2048, 1),
    }
    count = {"image": FRAMES * SIDE * SIDE, "audio": 64}[name]
    with torch.no_grad():
        model(inputs, {name: torch.arange(count)})
    watch.stop()
    return arrays(watch.output)[:count]
