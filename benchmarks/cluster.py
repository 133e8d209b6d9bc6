"""Times what engines of `batch` add to an item: processes of this machine and Ray, taking turns.

`python -m benchmarks.cluster [--seconds 1] [--items 16] [--workers 1] [--rounds 3] [--engines local ray]`:
items of a small model that sleep for so long each, and how much longer they take in a batch than they
alone, in per cent. Starting and ending is not counted: it is from the first result to the last. Needs
`perceiver-graph[ray]`. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

import perceiver_graph as pg
from perceiver_graph.cluster import run_batch

_SPEC = """
perceiver: 1
name: small
inputs:
  text:
    shape: {length: 16}
    steps: [{embedding: {vocabulary: 262, width: 16}}]
    media: {text: {}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 3}, media: {classes: {}}}
"""
_SLOW = """
import time
from perceiver_graph.runtime.program import Program
run = Program.run

def slow(self, *words, **more):
    time.sleep({seconds})
    return run(self, *words, **more)

Program.run = slow
"""


def main() -> None:
    """Time each engine once a round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["local", "ray"])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        pg.compile(_SPEC).save(folder / "small")
        (folder / "slow.py").write_text(_SLOW.format(seconds=options.seconds), encoding="utf-8")
        (folder / "items").mkdir()
        for number in range(options.items):
            path = folder / "items" / f"{number:05}.txt"
            path.write_text(f"{number:05}", encoding="utf-8")
        found: dict[str, list[float]] = {engine: [] for engine in options.engines}
        for number in range(options.rounds):
            for engine in options.engines:
                found[engine].append(_over(folder, engine, options) * 100)
                shown = f"{found[engine][-1]:+.2f} %, load {os.getloadavg()[0]:.1f}"
                print(f"round {number + 1}: {engine} {shown}", flush=True)
        for engine, over in found.items():
            spread = f"{min(over):+.2f} to {max(over):+.2f}"
            print(f"{engine}: {statistics.median(over):+.2f} % ({spread})")
    finally:
        shutil.rmtree(folder)


def _over(folder: Path, engine: str, options: argparse.Namespace) -> float:
    """How much longer items take than they have to, as a share."""
    out = folder / "out"
    totals = run_batch(
        folder / "small",
        [folder / "items"],
        out,
        engine=engine,  # type: ignore[arg-type]
        workers=options.workers,
        threads=1,
        extensions=[folder / "slow.py"],
    )
    assert (totals.failed, totals.before) == (0, 0)
    written = sorted(max(file.stat().st_mtime for file in one.iterdir()) for one in _results(out))
    shutil.rmtree(out)
    # The first of each worker: what is after it begins when it ends.
    first, last = written[options.workers - 1], written[-1]
    each = (last - first) / (len(written) - options.workers) * options.workers
    return each / options.seconds - 1


def _results(out: Path) -> list[Path]:
    """The folders of the items."""
    return [one for one in out.iterdir() if one.is_dir()]


if __name__ == "__main__":
    main()
