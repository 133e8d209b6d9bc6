"""Kinetics at full size: how long perceiver-graph takes, beside transformers in the same run.

    python benchmarks/kinetics.py [--rounds N] [--video]

Both sides take turns, so that a machine whose speed drifts slows both; medians and their ratio are
printed. Random weights: time does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import transformers

import perceiver_graph as pg

CHUNKS = 128


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each figure")
    parser.add_argument("--video", action="store_true", help="also decode the whole video, once")
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "kinetics"
        command_line(artifact, options.rounds)
        program = pg.load(artifact)
        one_chunk(program, options.rounds)
        if options.video:
            whole_video(program)


def describe_machine() -> None:
    """What the figures hold for, and how fast its matrix products are now."""
    a = torch.rand(2048, 2048)
    seconds = median(lambda: a @ a, 5)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, ", end="")
    print(
        f"onnxruntime {onnxruntime.__version__}; float32 products {2 * 2048**3 / seconds / 1e9:.0f} GFLOP/s"
    )


def command_line(artifact: Path, rounds: int) -> None:
    """Whole processes: what a user waits for."""
    tool = [sys.executable, "-m", "perceiver_graph"]
    inspect = median(lambda: process([*tool, "inspect", "kinetics"]), rounds)
    row("inspect kinetics", inspect)
    compile = median(lambda: process([*tool, "compile", "kinetics", "-o", str(artifact)]), rounds)
    row("compile kinetics", compile)


def process(command: Sequence[str]) -> None:
    """Run a command without its output."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def one_chunk(program: Any, rounds: int) -> None:
    """One of the 128 parts. transformers encodes anew for each part; here encoding is apart."""
    rng = np.random.default_rng(0)
    data = {
        "audio": rng.standard_normal((1, 30720, 1), np.float32),
        "image": rng.random((1, 16, 224, 224, 3), np.float32),
    }
    chosen = {"audio": np.arange(15), "image": np.arange(6272), "label": None}
    reference = reference_chunk(data, chosen)
    state = program.encode(data)
    program.decode(state, chosen)
    reference()
    times: dict[str, list[float]] = {"reference": [], "encode": [], "decode": []}
    for _ in range(rounds):
        times["reference"].append(seconds(reference))
        times["encode"].append(seconds(lambda: program.encode(data)))
        times["decode"].append(seconds(lambda: program.decode(state, chosen)))
    theirs, encode, decode = (statistics.median(values) for values in times.values())
    row("transformers, one chunk", theirs)
    row("encode, once per video", encode)
    row("decode one chunk", decode)
    row("one chunk, encode included", encode + decode, theirs)
    row("whole video, from these", encode + CHUNKS * decode, CHUNKS * theirs)


def reference_chunk(data: dict[str, Any], chosen: dict[str, Any]) -> Callable[[], object]:
    """What the tutorial of transformers calls 128 times."""
    config = transformers.PerceiverConfig(
        num_latents=784, d_latents=512, d_model=704, num_blocks=1, num_self_attends_per_block=8,
        num_self_attention_heads=8, num_cross_attention_heads=1, num_labels=700,
    )  # fmt: skip
    model = transformers.PerceiverForMultimodalAutoencoding(config).eval()
    inputs = {
        "audio": torch.from_numpy(data["audio"]),
        "image": torch.from_numpy(data["image"]).permute(0, 1, 4, 2, 3).contiguous(),
        "label": torch.zeros(1, 700),
    }
    points = {n: torch.from_numpy(p) if p is not None else None for n, p in chosen.items()}

    def run() -> object:
        with torch.no_grad():
            return model(inputs=inputs, subsampled_output_points=points)

    return run


def whole_video(program: Any) -> None:
    """All 804,737 queries, measured once."""
    data = {"image": np.random.default_rng(0).random((1, 16, 224, 224, 3), np.float32)}
    row("whole video, measured", seconds(lambda: program.run(data)))


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median(call: Callable[[], object], rounds: int) -> float:
    """The median time of a call, after one that does not count."""
    call()
    return statistics.median(seconds(call) for _ in range(rounds))


def row(what: str, measured: float, reference: float | None = None) -> None:
    """A line of the table; with a reference, how many times faster."""
    ratio = f"   {reference / measured:5.1f} x faster than transformers" if reference else ""
    print(f"{what:28} {measured:8.2f} s{ratio}", flush=True)


if __name__ == "__main__":
    main()
