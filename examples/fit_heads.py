"""Make weights with which an untrained model shows the clip it was given: a look, not a result.

    python examples/fit_heads.py clip.mp4 -o weights.safetensors --spec specs/kinetics.yaml

All maps are random but the last one of each output that has an input of the same name and size:
that one is solved for (ridge regression) from this very clip. The frequencies of the clip also set
how strongly the random query map weighs each channel of a position. So a reconstruction shows that
pixels and samples come out in their places, each window with its own; that the model had learnt
anything it does not show. Needs `pip install "perceiver-graph[media,torch]"`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import perceiver_graph as pg
from perceiver_graph.compiler.artifact import describe
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.clip.formats import media_formats
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.storage import staged_file

QUERY_MAP = "decoder.cross_attend.attention.query.weight"
SHARPNESS = 3.0  # gain of query and key maps before the decoder: latents then tell inputs apart
RIDGE = 1e-8  # of the features' mean square
CHUNK = 2048  # queries decoded at a time
PIECE = 256  # points over which frequencies are measured


@dataclass(frozen=True)
class Fit:
    """An output that was fitted: root mean square errors of its values, and of their mean alone."""

    name: str
    error: float
    mean_error: float


def read_windows(compiled: Compiled, clip: Path) -> list[dict[str, NDArray[Any]]]:
    """The media inputs of each window of a clip, by name. Raises DiagnosticError (PG507 to PG512)."""
    entries = describe.input_entries(compiled.lowered)
    used = {name: entry for name, entry in entries.items() if entry.mask != "always"}
    formats = media_formats(used)
    reading = ClipReader(formats, optional=("video", "audio")).open([str(clip)])
    return [piece.arrays for piece in reading.pieces()]


def targets(compiled: Compiled, clip: Sequence[dict[str, NDArray[Any]]]) -> dict[str, Tensor]:
    """What each output should be, [windows, *grid, channels], of those that can be fitted.

    These are outputs of a grid with a linear head and an input of the same name, media and size.
    Raises DiagnosticError (PG512) where there is none.
    """
    inputs = describe.input_entries(compiled.lowered)
    found = {}
    for name, output in describe.output_entries(compiled.lowered).items():
        head = compiled.lowered.document.spec.outputs[name].model_dump()
        grid_and_linear = "grid" in head["query"] and "linear" in head["head"]
        if not grid_and_linear or head["head"]["scale"] is not None or name not in clip[0]:
            continue
        shape = [int(size) for size in output.shape[1:]]
        same = inputs[name].shape == output.shape
        patched = inputs[name].axes == output.axes == ["batch", "time", "channel"]
        if (same or patched) and clip[0][name].size == np.prod(shape):
            values = np.concatenate([window[name] for window in clip])
            found[name] = torch.from_numpy(values).reshape(-1, *shape)
    if not found:
        raise DiagnosticError.of(
            "PG512",
            "nothing can be fitted to this clip: no output has an input of its name and size in it",
            help="give an output a grid query, a linear head and the name of a media input",
        )
    return found


def random_weights(compiled: Compiled, seed: int) -> dict[str, NDArray[Any]]:
    """Weights of unit gain: every linear map passes on the variance of what it gets.

    Only query and key maps have more, so that attention picks instead of averaging; in the decoder
    they have not, since neighbouring queries should get similar answers.
    """
    weights = compiled.weights(seed=seed)
    for name, values in weights.items():
        deviation = float(values.std())
        if name == "latents" and deviation:
            values /= deviation
        elif name.endswith(".weight") and values.ndim > 1 and deviation:
            values /= deviation * np.sqrt(np.prod(values.shape[1:]))
            if name.endswith(("query.weight", "key.weight")) and not name.startswith("decoder."):
                values *= SHARPNESS
    return weights


def power(values: Tensor, axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Frequencies in cycles per axis, and the power of values at each along an axis."""
    lines = values.movedim(axis, 0)
    count = max(1, round(len(lines) / PIECE))
    size = len(lines) // count
    pieces = lines[: count * size].reshape(count, size, -1)
    spectrum = torch.fft.rfft(pieces - pieces.mean(1, keepdim=True), dim=1).abs().square()
    found = spectrum.sum((0, 2))
    found[0] = found[min(1, len(found) - 1)]  # nothing is slower than a cycle per piece
    return np.arange(len(found)) * count, found.numpy()


def channel_scales(query: Any, values: Tensor) -> Tensor:
    """How strongly each channel of an output's queries should count: [channels].

    The square of the clip's power at the frequency of the channel. With equal weights, neighbouring
    pixels would be as far apart as distant ones, and a few hundred features could not fit a picture.
    """
    grid = values.shape[1:-1]
    scales: Tensor | None = None
    for axis, size in enumerate(grid):
        stride = int(np.prod(grid[axis + 1 :]))
        line = query(torch.arange(size) * stride).detach()
        step = line.diff(dim=0).square().mean(0).sqrt()
        cycles = size * step / line.square().mean(0).sqrt().clamp_min(1e-6) / (2 * np.pi)
        frequencies, powers = power(values, axis + 1)
        found = torch.from_numpy(np.interp(cycles.numpy(), frequencies, powers / powers.max()))
        found = torch.where(step > 0, found.square(), 0.0)
        # Long axes have more to tell than short ones.
        share = found / found.norm().clamp_min(1e-12) * size**0.25
        scales = share if scales is None else scales + share
    assert scales is not None
    return scales.float()


def scale_queries(model: Any, wanted: dict[str, Tensor]) -> None:
    """Weigh the columns of the decoder's query map, which all outputs share, for each of them."""
    found = [channel_scales(model.queries[name], values) for name, values in wanted.items()]
    total = torch.zeros_like(found[0])
    for scales in sorted(found, key=lambda scales: int((scales > 0).sum())):
        # A column that a narrower query uses is lost to the wider ones, which have others.
        free = torch.where(total == 0, scales, 0.0)
        total += free / free.norm().clamp_min(1e-12)
    if total.any():
        model.get_parameter(QUERY_MAP).mul_(total / total.square().mean().sqrt())


class Regression:
    """Least squares for the last linear map of an output, from as many batches as are added."""

    def __init__(self, model: Any, name: str) -> None:
        self.name = name
        self.model = model
        self.head = model.get_submodule(f"heads.{name}.linear")
        self.xx = torch.zeros(self.head.in_features + 1, self.head.in_features + 1).double()
        self.xy = torch.zeros(self.head.in_features + 1, self.head.out_features).double()
        self.yy = 0.0

    def add(self, state: dict[str, Tensor], positions: Tensor, values: Tensor) -> None:
        """Decode the queries at `positions` and take what the head gets; values [n, channels]."""
        caught: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: caught.append(given[0][0]))
        try:
            self.model.decode(state, {self.name: positions})
        finally:
            hook.remove()
        x = torch.nn.functional.pad(caught[0].double(), (0, 1), value=1.0)
        y = values.double()
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.yy += float(y.square().sum())

    def solve(self) -> Fit:
        """Set the head to the solution."""
        ridge = RIDGE * self.xx.diagonal().mean() * torch.eye(len(self.xx)).double()
        found = torch.linalg.solve(self.xx + ridge, self.xy)
        self.head.weight.copy_(found[:-1].T)
        self.head.bias.copy_(found[-1])
        count = float(self.xx[-1, -1])
        left = (
            self.yy - 2 * float((found * self.xy).sum()) + float((found * (self.xx @ found)).sum())
        )
        mean_left = self.yy - float(self.xy[-1].square().sum()) / count
        values = count * self.head.out_features
        return Fit(self.name, max(left / values, 0.0) ** 0.5, max(mean_left / values, 0.0) ** 0.5)


@torch.no_grad()
def fit(
    compiled: Compiled,
    clip: Sequence[dict[str, NDArray[Any]]],
    seed: int = 0,
    samples: int = 30_000,
) -> tuple[dict[str, NDArray[Any]], list[Fit]]:
    """Weights for a spec by parameter, and the outputs that were fitted to the windows of a clip.

    Of each window and output, `samples` queries are used, or all. Raises DiagnosticError (PG512).
    """
    wanted = targets(compiled, clip)
    model: Any = compiled.to_torch(random_weights(compiled, seed)).eval()
    scale_queries(model, wanted)
    regressions = {name: Regression(model, name) for name in wanted}
    generator = torch.Generator().manual_seed(seed)
    for index, window in enumerate(clip):
        state = model.encode({name: torch.from_numpy(array) for name, array in window.items()})
        for name, values in wanted.items():
            flat = values[index].flatten(0, -2)
            chosen = torch.randperm(len(flat), generator=generator)[:samples]
            for positions in torch.split(chosen, CHUNK):
                regressions[name].add(state, positions, flat[positions])
    fits = [regression.solve() for regression in regressions.values()]
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}, fits


def write(weights: dict[str, NDArray[Any]], path: Path) -> None:
    """Write a safetensors file, whole or not at all. Raises DiagnosticError (PG511)."""
    from safetensors.numpy import save

    with staged_file(path) as temporary:
        temporary.write_bytes(save(weights))


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Fit the last linear maps of a random model.")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a short video, with sound or not")
    parser.add_argument("--spec", default="kinetics", help="default: kinetics")
    parser.add_argument("--set", dest="overrides", action="append", metavar="KEY=VALUE")
    parser.add_argument("-o", "--output", type=Path, default=Path("weights.safetensors"))
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    try:
        compiled = pg.compile(options.spec, overrides=options.overrides or ())
        weights, fits = fit(compiled, read_windows(compiled, options.clip), options.seed)
        write(weights, options.output)
    except DiagnosticError as error:
        print(error, file=sys.stderr)
        return 1
    for one in fits:
        print(f"{one.name}: rms error {one.error:.3f} (its mean alone: {one.mean_error:.3f})")
    names = " and ".join(one.name for one in fits)
    print(
        f"{options.output}: random weights; only the last linear maps ({names}) fit, to this very clip"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
