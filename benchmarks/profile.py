"""Where the time of a work goes, by nodes: `python -m benchmarks.profile WORK`.

What runs is prepared as for `python -m benchmarks`, and timed by the profiler of the engine.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import contenders, machine, prepare
from benchmarks.nodes import Node, OfOpenVino, of_onnxruntime
from benchmarks.report import table
from benchmarks.tasks import Conditions, Task
from benchmarks.works import WORKS
from perceiver_graph.runtime.artifact import Artifact, open_artifact
from perceiver_graph.runtime.devices import Device
from perceiver_graph.runtime.engines.onnxruntime import OnnxRuntime
from perceiver_graph.runtime.engines.openvino import Compiled, OpenVino, library
from perceiver_graph.runtime.program import Program
from perceiver_graph.spec.manifest import ProgramEntry

OURS = {
    "ours": ("onnxruntime", "fp32"),
    "ours-int8": ("onnxruntime", "int8"),
    "ours-openvino": ("openvino", "fp32"),
    "ours-openvino-bf16": ("openvino", "bf16"),
}
EXPORTED = {
    "onnx": ("onnxruntime", "fp32"),
    "openvino": ("openvino", "fp32"),
    "openvino-bf16": ("openvino", "bf16"),
    "openvino-int8": ("openvino", "int8"),
}
"""Contenders whose engine has a profiler: what they run on, in what."""
SLOWEST = 8
LEAST_SHARE = 0.002
"""Kinds that take less of the time are put together."""


@dataclass
class Profile:
    """What runs of a work took, as seen from outside, and of each node."""

    nodes: Sequence[Node]
    walls: Sequence[float]
    """Seconds of each run, the first included."""

    @property
    def wall(self) -> float:
        """Seconds of a run: the median of all but the first."""
        return statistics.median(self.walls[1:])


class Profiled(Compiled):
    """A program on OpenVINO that keeps what each run says of its nodes."""

    def __init__(self, artifact: Artifact, entry: ProgramEntry, device: Device) -> None:
        super().__init__(artifact, entry, device)
        self.seen: OfOpenVino | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """As usual, and with times of nodes."""
        return super().settings | {"PERF_COUNT": True}

    def run(self, inputs: Any, outputs: Any, sizes: Any, *, give_back: bool = False) -> Any:
        """As `Runner.run` says; what the run needed besides is always kept."""
        found = super().run(inputs, outputs, sizes)
        if self.seen is None:
            shapes = {name: list(getattr(x, "array", x).shape) for name, x in inputs.items()}
            self.seen = OfOpenVino(self._program, _original(self.file, shapes))
        self.seen.add(self._idle[-1])
        return found


class ProfiledOpenVino(OpenVino):
    """OpenVINO with the runners that keep it."""

    def __init__(self) -> None:
        self.runners: list[Profiled] = []

    def runner(
        self, artifact: Artifact, entry: ProgramEntry, device: Device, *, changing: bool
    ) -> Profiled:
        """One that is asked for its nodes at the end."""
        self.runners.append(Profiled(artifact, entry, device))
        return self.runners[-1]


@dataclass(frozen=True)
class Profiling(Device):
    """A CPU where sessions of onnxruntime write down what their nodes took."""

    prefix: str = ""
    """Of the files."""

    def session_options(self, sizes: Any) -> Any:
        """As usual, and with times of nodes."""
        return profiling(super().session_options(sizes), self.prefix)


def profiling(options: Any, prefix: str) -> Any:
    """Options of a session that writes its times when it is gone."""
    options.enable_profiling = True
    options.profile_file_prefix = prefix
    return options


def _original(file: Path, shapes: dict[str, list[int]]) -> Any:
    """A program as OpenVINO reads it, with the sizes of a run."""
    frontend = library().frontend.FrontEndManager().load_by_framework("onnx")
    model = frontend.convert(frontend.load(str(file)))
    model.reshape({name: shape for name, shape in shapes.items() if shape})
    return model


def run(task: Task, runs: int) -> Profile:
    """Run a work that is prepared so often, and as once more before."""
    of_engine = {"onnxruntime": _on_onnxruntime, "openvino": _on_openvino}
    return of_engine[(OURS | EXPORTED)[task.contender][0]](task, runs + 1)


def _on_onnxruntime(task: Task, runs: int) -> Profile:
    with tempfile.TemporaryDirectory() as folder:
        prefix = str(Path(folder) / "profile")
        if task.ours:
            device = Profiling("cpu", task.conditions.threads, prefix=prefix)
            program = Program(open_artifact(task.prepared), device, OnnxRuntime())
            loaded = contenders.load_ours(task, program)
            del program
        else:
            loaded = contenders.load_onnx(task, lambda options: profiling(options, prefix))
        walls = [_seconds(loaded.run) for _ in range(runs)]
        del loaded
        gc.collect()  # sessions write when they are gone, and what runs them is held by itself
        return Profile(of_onnxruntime(sorted(Path(folder).iterdir())), walls)


def _on_openvino(task: Task, runs: int) -> Profile:
    if task.ours:
        engine = ProfiledOpenVino()
        device = Device("cpu", task.conditions.threads)
        with _without_kept_programs():
            loaded = contenders.load_ours(
                task, Program(open_artifact(task.prepared), device, engine)
            )
            walls = [_seconds(loaded.run) for _ in range(runs)]
        nodes = [n for one in engine.runners if one.seen for n in one.seen.nodes]
        return Profile(nodes, walls)
    kept: list[OfOpenVino] = []

    def watch(program: Any, request: Any) -> None:
        if not kept:
            kept.append(
                OfOpenVino(program, library().Core().read_model(contenders.program_of(task)))
            )
        kept[0].add(request)

    loaded = contenders.load_openvino(task, watch)
    walls = [_seconds(loaded.run) for _ in range(runs)]
    return Profile(kept[0].nodes, walls)


@contextmanager
def _without_kept_programs() -> Iterator[None]:
    """What is in the cache of compiled programs tells no times."""
    before = os.environ.get("PERCEIVER_GRAPH_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PERCEIVER_GRAPH_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["PERCEIVER_GRAPH_CACHE"]
            else:
                os.environ["PERCEIVER_GRAPH_CACHE"] = before


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def report(profile: Profile, rate: float) -> str:
    """By kinds of nodes, and the slowest nodes. `rate` is FLOP/s of products of float32."""
    runs = len(profile.walls)
    kinds: dict[str, list[Node]] = {}
    for node in profile.nodes:
        kinds.setdefault(node.kind, []).append(node)
    rows = []
    small, others = 0.0, 0
    for kind, nodes in sorted(kinds.items(), key=lambda item: -_total(item[1], runs)):
        seconds = _total(nodes, runs)
        if seconds < LEAST_SHARE * profile.wall:
            small, others = small + seconds, others + len(nodes)
            continue
        flops = sum(node.flops_of_run(runs) for node in nodes)
        rows.append([kind, str(len(nodes)), *_figures(seconds, flops, profile.wall, rate)])
    between = max(0.0, profile.wall - _total(profile.nodes, runs))
    for name, count, seconds in (("others", str(others), small), ("between nodes", "", between)):
        rows.append([name, count, *_figures(seconds, 0, profile.wall, rate)])
    columns = ["kind", "nodes", "ms", "share", "GFLOP", "GFLOP/s", "of the rate"]
    slowest = sorted(profile.nodes, key=lambda node: -node.seconds(runs))[:SLOWEST]
    told = [
        [
            f"`{node.name}`",
            node.kind,
            *_figures(node.seconds(runs), node.flops_of_run(runs), profile.wall, rate),
            node.shapes,
        ]
        for node in slowest
    ]
    return "\n\n".join(
        [
            table(columns, rows),
            "The slowest nodes:",
            table(["node", "kind", *columns[2:], "shapes"], told),
        ]
    )


def _total(nodes: Sequence[Node], runs: int) -> float:
    return sum(node.seconds(runs) for node in nodes)


def _figures(seconds: float, flops: int, wall: float, rate: float) -> list[str]:
    """Milliseconds and their share; of products, GFLOP, GFLOP/s and the share of the rate."""
    figures = [f"{1000 * seconds:.2f}", f"{100 * seconds / wall:.1f} %"]
    if not flops or not seconds:
        return [*figures, "", "", ""]
    reached = flops / seconds
    return [*figures, f"{flops / 1e9:.2f}", f"{reached / 1e9:.0f}", f"{100 * reached / rate:.0f} %"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare what the arguments choose, run it, and print its profile."""
    options, contender = _options(arguments)
    conditions = Conditions("cpu", "fp32", options.threads, str(options.folder.resolve()))
    task = Task(contender, WORKS[options.work], conditions)
    for made in (
        prepare.weights(task, options.limit, fresh=False),
        prepare.prepare(task, options.limit, fresh=False),
    ):
        if made.failure:
            sys.exit(f"{contender}: {made.failure}")
    before = machine.product_rate("cpu", "fp32", options.threads)
    profile = run(task, options.runs)
    after = machine.product_rate("cpu", "fp32", options.threads)
    rate = max(before.flops_per_second, after.flops_per_second)
    versions = machine.describe(options.threads)
    told = ", ".join(f"{n} {v}" for n, v in versions.versions.items() if n.startswith(("o", "p")))
    print(f"{versions.date}, {machine.cpu()}, {options.threads} threads. {told}.\n")
    print(
        f"{task.work.name}, {contender}: {profile.wall:.3f} s, the median of {options.runs} runs with "
        f"the profiler on; products of float32 at {rate / 1e9:.0f} GFLOP/s.\n"
    )
    print(report(profile, rate))


def _options(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, str]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    add = parser.add_argument
    add("work", choices=WORKS, metavar="WORK", help=", ".join(WORKS))
    add(
        "--engine", choices=("onnxruntime", "openvino"), default="onnxruntime", help="[onnxruntime]"
    )
    add("--precision", choices=("fp32", "bf16", "int8"), default="fp32", help="[fp32]")
    add(
        "--export",
        action="store_true",
        help="what torch.onnx.export writes of transformers, instead",
    )
    add("--runs", type=int, default=5, metavar="N", help="that count, behind one that does not [5]")
    cpus = machine.usable_cpus()
    add("--threads", type=int, default=cpus, metavar="N", help=f"[{cpus}]")
    add("--limit", type=float, default=600, metavar="S", help="seconds for each step before [600]")
    add("--folder", type=Path, default=Path("build/bench"), help="for what is kept [build/bench]")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error(f"--runs {options.runs} is not 1 or more")
    asked = (options.engine, options.precision)
    of = EXPORTED if options.export else OURS
    contender = next((name for name, had in of.items() if had == asked), "")
    if not contender:
        whose = "the export" if options.export else "perceiver-graph"
        parser.error(f"{whose} is not among the contenders in {asked[1]} on {asked[0]}")
    return options, contender


if __name__ == "__main__":
    main()
