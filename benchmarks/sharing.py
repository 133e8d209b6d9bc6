"""What each worker adds in memory: `python -m benchmarks.sharing ARTIFACT [--workers 2] [--size NAME=N]`.

Processes load one artifact, run it on random inputs, and stay: first with weights of their own, then with
`share_weights`. Linux says what belongs to each alone, and its share of what all have. They start one after
the other, so that the first one writes the file of shared weights; that time is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import processes

_FIELD = re.compile(r"^(Rss|Pss|Private_Clean|Private_Dirty): +(\d+) kB$", re.MULTILINE)


def memory(process: int | str) -> dict[str, int]:
    """MiB that a process has in all, its share of them, and what is its own."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    found = {name: int(size) / 1024 for name, size in _FIELD.findall(text)}
    private = found["Private_Clean"] + found["Private_Dirty"]
    return {"resident": round(found["Rss"]), "share": round(found["Pss"]), "own": round(private)}


def worker(artifact: str, sizes: Mapping[str, int], shared: bool) -> None:
    """Run once, say how long the start took, and wait to be told to end."""
    import perceiver_graph as pg
    from perceiver_graph.runtime.random_inputs import random_inputs

    began = time.perf_counter()
    program = pg.load(artifact, engine="onnxruntime", threads=1, share_weights=shared)
    loaded = time.perf_counter() - began
    program.run(random_inputs(program.manifest, sizes).arrays)
    print(json.dumps(loaded), flush=True)
    sys.stdin.readline()


def measure(
    artifact: str | Path, sizes: Sequence[str], workers: int, *, shared: bool
) -> list[tuple[float, dict[str, int]]]:
    """Seconds to load, and memory while all workers are there, of each."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.sharing",
        artifact,
        "--one",
        *["--shared"] * shared,
    ]
    command += [word for size in sizes for word in ("--size", size)]
    running: list[subprocess.Popen[str]] = []
    try:
        seconds = []
        for _ in range(workers):
            running.append(
                subprocess.Popen(
                    command,
                    cwd=processes.ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            said = running[-1].stdout
            assert said is not None
            seconds.append(float(said.readline()))
        return [(one, memory(p.pid)) for one, p in zip(seconds, running, strict=True)]
    finally:
        for process in running:
            process.communicate("\n")


def main() -> None:
    """Measure both ways and print a line a worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("artifact")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", action="append", default=[], metavar="NAME=N")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--shared", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sizes = {name: int(size) for name, _, size in (s.partition("=") for s in options.size)}
        worker(options.artifact, sizes, options.shared)
        return
    measure(options.artifact, options.size, 1, shared=True)  # writes the file, if it is not there
    print("| weights | worker | loaded in, s | resident, MiB | its share | its own |")
    print("|---|---:|---:|---:|---:|---:|")
    for shared in (False, True):
        found = measure(options.artifact, options.size, options.workers, shared=shared)
        for number, (seconds, of) in enumerate(found, 1):
            cells = [f"{seconds:.2f}", *(f"{of[name]:,}" for name in ("resident", "share", "own"))]
            print(f"| {'shared' if shared else 'own'} | {number} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
