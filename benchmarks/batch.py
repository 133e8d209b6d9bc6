"""Times `batch` with one worker and with more, taking turns, each worker with one thread.

`python -m benchmarks.batch ARTIFACT INPUT... [--workers 1 2] [--rounds 3] [--engine local]`: the median of
items an hour, and how many times those of the first. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from perceiver_graph.cluster import run_batch


def main() -> None:
    """Time each number of workers once a round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact")
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share-weights", action="store_true")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    options = parser.parse_args()
    rates: dict[int, list[float]] = {count: [] for count in options.workers}
    for number in range(options.rounds):
        for count in options.workers:
            folder = Path(tempfile.mkdtemp())
            began = time.monotonic()
            totals = run_batch(
                options.artifact,
                options.inputs,
                folder / "out",
                engine=options.engine,
                workers=count,
                threads=1,
                share_weights=options.share_weights,
            )
            seconds = time.monotonic() - began
            shutil.rmtree(folder)
            rates[count].append(totals.done / seconds * 3600)
            load = os.getloadavg()[0]
            print(
                f"round {number + 1}: {count} workers, {totals.done} in {seconds:.1f} s, load {load:.1f}"
            )
    first = statistics.median(rates[options.workers[0]])
    for count, found in rates.items():
        median = statistics.median(found)
        spread = f"{min(found):,.0f} to {max(found):,.0f}"
        print(
            f"{count} workers: {median:,.0f} items an hour ({spread}), {median / first:.2f} times"
        )


if __name__ == "__main__":
    main()
