"""How time and memory grow: `python -m benchmarks.growth [--plot FILE.svg]`, one size after the other.

A Perceiver of one kind of input, enlarged along one axis at a time: inputs, outputs, latents, layers, batch.
Each size runs in processes of its own, all sizes once a round, so that a machine whose speed drifts slows
them all. Beside what was measured stands what is said of the same spec: its FLOPs, which at the rate of this
machine's products are the least time, and the most memory of a run. A plot takes matplotlib.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import perceiver_graph as pg
from benchmarks import machine, processes
from benchmarks.rounds import predicted_bytes
from perceiver_graph.compiler.programs import cost

SPEC = """
perceiver: 1
name: growth
inputs:
  tokens: {{shape: {{place: {inputs}, channel: 64}}, position: {{fourier: {{bands: 16}}}}}}
latents: {{count: {latents}, width: 256}}
process: {{layers: {layers}, heads: 8}}
outputs:
  found:
    query: {{grid: {{place: {outputs}}}, position: {{fourier: {{bands: 16}}}}}}
    head: {{linear: 16}}
"""
BASE = {"inputs": 16384, "outputs": 4096, "latents": 256, "layers": 8, "batch": 1}
SIZES = {
    "inputs": (4096, 16384, 65536, 262144),
    "outputs": (1024, 4096, 16384, 65536),
    "latents": (64, 256, 1024),
    "layers": (2, 8, 32),
    "batch": (1, 2, 4, 8),
}
RUNS = 3
"""Of a process; the first one does not count."""


@dataclass
class Point:
    """A size of the model: what is said of it, and what was measured."""

    sizes: Mapping[str, int]
    folder: Path
    flops: int
    predicted_bytes: int
    seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        """Seconds of a run."""
        return statistics.median(self.seconds)


def point(sizes: Mapping[str, int], folder: Path) -> Point:
    """Compile a size and ask what it is said to take."""
    compiled = pg.compile(SPEC.format(**sizes))
    compiled.save(folder / "model")
    bound = {"batch": sizes["batch"], "found_queries": sizes["outputs"]}
    flops = cost.estimate(compiled.optimized, bound).flops
    return Point(sizes, folder, flops, predicted_bytes(compiled.plan.needs, sizes["batch"]))


def measure(points: Sequence[Point], rounds: int) -> None:
    """Time every point once a round."""
    for number in range(rounds):
        for one in points:
            log = one.folder / "log"
            command = [sys.executable, "-m", "benchmarks.growth", "--one", str(one.folder)]
            command += ["--batch", str(one.sizes["batch"])]
            done = processes.run(command, log, limit=600)
            one.seconds += json.loads(log.read_text().splitlines()[-1])
            one.peak_bytes = max(one.peak_bytes, done.peak_bytes)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)


def run_one(folder: Path, batch: int) -> None:
    """In a process of its own: print the seconds of each run that counts."""
    import numpy as np

    program = pg.load(folder / "model", device="cpu", engine="onnxruntime")
    size = program.manifest.inputs["tokens"].shape[1]
    tokens = np.random.default_rng(0).standard_normal((batch, int(size), 64), np.float32)
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        program.run({"tokens": tokens})
        seconds.append(time.perf_counter() - began)
    print(json.dumps(seconds[1:]))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The power of the size that values grow by, between the last two."""
    return math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])


def report(curves: Mapping[str, list[Point]], flops_a_second: float) -> str:
    """A table for each axis, and by which power of the size time grows at its end."""
    lines = []
    for axis, points in curves.items():
        lines += [f"| {axis} | s | FLOPs / rate, s | floor | memory, MB | said, MB |"]
        lines += ["|---:|---:|---:|---:|---:|---:|"]
        for one in points:
            least = one.flops / flops_a_second
            lines.append(
                f"| {one.sizes[axis]:,} | {one.median:.3f} | {least:.3f} | {least / one.median:.0%} "
                f"| {one.peak_bytes / 1e6:,.0f} | {one.predicted_bytes / 1e6:,.0f} |"
            )
        sizes = [float(one.sizes[axis]) for one in points]
        took = exponent(sizes, [one.median for one in points])
        counted = exponent(sizes, [float(one.flops) for one in points])
        lines += [
            "",
            f"Time grows as {axis}^{took:.2f} at the end, FLOPs as {axis}^{counted:.2f}.",
            "",
        ]
    return "\n".join(lines)


def plot(curves: Mapping[str, list[Point]], flops_a_second: float, file: Path) -> None:
    """Time and memory, measured and said, over each axis: one picture.

    Both directions are logarithmic, and all pictures of a row have one scale: what grows as a size does
    rises as steeply as the thin line.
    """
    from matplotlib import pyplot
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    pyplot.rcParams["svg.hashsalt"] = "growth"  # the same figures, the same file
    figure, rows = pyplot.subplots(
        2, len(curves), figsize=(3 * len(curves), 6), sharex="col", sharey="row", squeeze=False
    )
    for (axis, points), column in zip(curves.items(), rows.T, strict=True):
        sizes = [one.sizes[axis] for one in points]
        measured = [one.median for one in points], [one.peak_bytes / 1e6 for one in points]
        said = (
            [one.flops / flops_a_second for one in points],
            [one.predicted_bytes / 1e6 for one in points],
        )
        for view, found, predicted in zip(column, measured, said, strict=True):
            view.loglog(sizes, found, "o-", label="measured")
            view.loglog(sizes, predicted, "--", label="predicted")
            linear = [found[-1] * size / sizes[-1] for size in sizes]
            view.loglog(sizes, linear, ":", color="gray", linewidth=1, label="in proportion")
            view.set_xticks(sizes, [f"{size:,}" for size in sizes], fontsize="small")
            view.xaxis.set_minor_locator(NullLocator())
            view.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            view.grid(alpha=0.3)
        column[-1].set_xlabel(axis)
    every = [one for points in curves.values() for one in points]
    rows[0][0].set_ylim(bottom=min(one.flops / flops_a_second for one in every) / 2)
    rows[1][0].set_ylim(bottom=min(one.peak_bytes / 1e6 for one in every) / 2)
    rows[0][0].set_ylabel("seconds")
    rows[1][0].set_ylabel("MB")
    rows[0][0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def main() -> None:
    """Measure all axes, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"{', '.join(SIZES)} [all]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", type=Path, metavar="FILE")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one, options.batch)
        return
    with tempfile.TemporaryDirectory() as temporary:
        curves = {
            axis: [
                point({**BASE, axis: size}, Path(temporary) / f"{axis}-{size}")
                for size in SIZES[axis]
            ]
            for axis in options.axes or SIZES
        }
        measure([one for points in curves.values() for one in points], options.rounds)
    rate = machine.product_rate("cpu", "fp32", machine.usable_cpus()).flops_per_second
    print(f"{machine.cpu()}; float32 products at {rate / 1e9:.0f} GFLOP/s\n")
    print(report(curves, rate))
    if options.plot:
        plot(curves, rate, options.plot)


if __name__ == "__main__":
    main()
