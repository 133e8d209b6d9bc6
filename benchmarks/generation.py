"""How many tokens a second a causal model writes, with what it has read in a cache, and computing all anew.

`python -m benchmarks.generation`: 4,096 tokens of context, 512 latents, width 512, 8 layers, weights at
random. Both take turns; figures are medians, and the machine's rate of matrix products is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

import perceiver_graph as pg
from benchmarks import machine
from perceiver_graph.runtime.program import Program

SPEC = """\
perceiver: 1
name: writer
dims: {length: {min: 512, max: 4096}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 262, width: 512}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
latents: {of: text, last: 512}
encode: {heads: 8, causal: true, widening: 4}
process: {layers: 8, heads: 8, causal: true, widening: 4}
outputs:
  next: {query: latents, head: {tied_embedding: text}}
"""
LATENTS = 512


def with_cache(program: Program, ids: NDArray[np.int64]) -> Iterator[int]:
    """Tokens as `generate` gives them, the most probable each."""
    for (token,) in program.generate(ids, sys.maxsize, temperature=0):
        yield int(token)


def anew(program: Program, ids: NDArray[np.int64]) -> Iterator[int]:
    """The same where each token is the first behind a text: all latents, nothing kept."""
    while True:
        (token,) = next(program.generate(ids, 1, temperature=0))
        ids = np.concatenate([ids, [[token]]], axis=1)[:, -4096:]
        yield int(token)


def seconds(tokens: Iterator[int], count: int) -> float:
    """The time of so many tokens."""
    start = time.perf_counter()
    for _ in range(count):
        next(tokens)
    return time.perf_counter() - start


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=3840, help="tokens that are given")
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args()
    with TemporaryDirectory() as folder:
        pg.compile(SPEC).save(Path(folder) / "writer")
        program = pg.load(Path(folder) / "writer", device="cpu", threads=settings.threads)
        ids = np.random.default_rng(0).integers(6, 262, (1, settings.length))
        cached, plain = with_cache(program, ids), anew(program, ids)
        seconds(cached, 3), seconds(plain, 1)  # sessions are made
        # Half the latents are added one by one until all is read anew: a round has one of each.
        rounds = [
            (seconds(cached, LATENTS // 2) / (LATENTS // 2), seconds(plain, 4) / 4)
            for _ in range(settings.rounds)
        ]
    rate = machine.product_rate("cpu", "fp32", settings.threads)
    print(f"{machine.cpu()}, {rate.flops_per_second / 1e9:.0f} GFLOP/s, {settings.threads} threads")
    versions = machine.describe(settings.threads).versions
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    with_it, without = (median(times) for times in zip(*rounds, strict=True))
    print(f"with the cache: {1 / with_it:.1f} tokens a second, {1000 * with_it:.1f} ms each")
    print(f"computing all anew: {1 / without:.2f} tokens a second, {1000 * without:.0f} ms each")
    print(f"{without / with_it:.1f} times as many")


if __name__ == "__main__":
    main()
