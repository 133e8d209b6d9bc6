"""Runs of programs with onnxruntime while they are compiled, on an input that stands for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.compiler.backends.onnx import written_texts
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.graph import Graph, Input
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.programs.phases import OUTPUT, Programs
from perceiver_graph.compiler.programs.target import Target
from perceiver_graph.engine import onnxruntime
from perceiver_graph.spec.arithmetic import calculate
from perceiver_graph.spec.manifest import InputEntry
from perceiver_graph.spec.programs import PREFILL, READS, STEP

Arrays = Mapping[str, Array]

QUERIES = 2048
"""How many queries of an output are decoded to measure, spread evenly: all would take minutes."""


@dataclass(frozen=True)
class Sample:
    """What is measured on: an array for each input of encode, and where they come from."""

    arrays: Arrays
    source: str
    is_given: bool = True
    """Whether somebody has chosen it; else it is random, and nothing is known of what will come."""


@dataclass(frozen=True)
class Trial:
    """Programs with their weights, and what they are run on."""

    programs: Programs
    parameters: Arrays
    target: Target
    sample: Sample
    sizes: Mapping[str, int]
    """The values of all symbols for the sample."""
    queries: Mapping[str, int]
    """How many queries each output has for the sample."""


def apart(program: Graph, sample: Sample) -> tuple[Sample | None, Sample]:
    """What the means of channels are taken of, and what all is judged by: the halves of a sample, as
    means are exact for what they are of. Of one element no means are taken (None)."""
    alike = {leaf.value.name for leaf in program.inputs if leaf.role == "size"}
    counts = [len(array) for name, array in sample.arrays.items() if name not in alike]
    if not sample.is_given or (count := max(counts, default=1)) == 1:
        return None, sample

    def part(chosen: slice) -> dict[str, Array]:
        return {n: array if n in alike else array[chosen] for n, array in sample.arrays.items()}

    half = count // 2
    source = f"{sample.source}, its last {count - half} of {count}"
    return Sample(part(slice(half)), sample.source), Sample(part(slice(half, None)), source)


def random_sample(
    program: Graph, entries: Mapping[str, InputEntry], sizes: Mapping[str, int], seed: int = 0
) -> Sample:
    """Normal numbers, and ids of the vocabulary; nothing is masked."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for leaf in program.inputs:
        shape = tuple(size.evaluate(sizes) for size in leaf.value.shape)
        if leaf.role == "size":
            found[leaf.value.name] = np.array([sizes[leaf.of]], np.int64)
        elif leaf.value.dtype == "bool":
            found[leaf.value.name] = np.ones(shape, np.bool_)
        elif leaf.value.dtype == "int64":
            entry = entries[leaf.of]
            most = entry.vocabularies or entry.vocabulary or _among(entry, sizes) or 1
            found[leaf.value.name] = rng.integers(0, most, shape)
        else:
            found[leaf.value.name] = rng.standard_normal(shape, np.float32)
    return Sample(found, "random input", is_given=False)


def _among(entry: InputEntry, sizes: Mapping[str, int]) -> int:
    """How many tokens there are to choose from, of numbers that choose some; else 0."""

    def operand(word: str) -> Fraction:
        return Fraction(int(word) if word.isdecimal() else sizes[word])

    return 0 if entry.among is None else int(calculate(str(entry.among), operand))


def run(
    directory: Path, trial: Trial, told: Callable[[Arrays], None] = lambda _: None
) -> dict[str, Array]:
    """The outputs of the spec by name; `told` sees those of each program."""
    given = dict(trial.sample.arrays)
    results: dict[str, Array] = {}
    for name, program in trial.programs.items():
        if not program.outputs or name not in READS:
            continue
        for leaf in program.inputs:
            if leaf.role == "queries":
                given[leaf.value.name] = _spread(trial.queries[leaf.of])
            elif leaf.role == "points":
                given[leaf.value.name] = _points(leaf, trial)
            elif leaf.role == "size":
                given[leaf.value.name] = np.array([trial.sizes[leaf.of]], np.int64)
        found = _outputs(directory / f"{name}.onnx", given)
        given |= found
        told(found)
        for key in asked(trial.programs, program):
            results[key.removesuffix(OUTPUT)] = given[key]
    for name, found in _write_on(directory, trial):
        told(found)
        for key in asked(trial.programs, trial.programs[name]):
            results[f"{key} of {name}"] = found[key]
    return results


def _write_on(directory: Path, trial: Trial) -> Iterator[tuple[str, dict[str, Array]]]:
    """What the programs that write texts give: of the sample as a text, and of its last token."""
    if PREFILL not in trial.programs:
        return
    sample, sizes = trial.sample.arrays, trial.sizes
    reader, writer = trial.programs[PREFILL], trial.programs[STEP]
    read = written_texts.prefill(reader, sample, sizes)
    state = _outputs(directory / f"{PREFILL}.onnx", read)
    yield PREFILL, state
    feeds = written_texts.step(writer, reader, sample, read, state)
    yield STEP, _outputs(directory / f"{STEP}.onnx", feeds)


def _spread(count: int) -> Array:
    """Some of so many queries, evenly spread. Shape: int64 [at most QUERIES]."""
    asked = min(count, QUERIES)
    return np.arange(asked, dtype=np.int64) * count // asked


def _points(leaf: Input, trial: Trial) -> Array:
    """Those of the sample, else random ones in [-1, 1]: float32 [batch, points, coordinates]."""
    given = trial.sample.arrays.get(leaf.value.name)
    if given is not None and given.shape[1]:
        return given[:, :QUERIES]
    batch, channels = trial.sizes.get("batch", 1), int(leaf.value.shape[-1])
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (batch, QUERIES, channels)).astype(np.float32)


def _outputs(file: Path, inputs: Arrays) -> dict[str, Array]:
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {entry.name: inputs[entry.name] for entry in session.get_inputs()}
    names = [entry.name for entry in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def asked(programs: Programs, program: Graph) -> list[str]:
    """What a program gives of the outputs of the spec: neither the latents nor state."""
    leaves = (leaf for graph in programs.values() for leaf in graph.inputs)
    others = {LATENTS, *(leaf.of for leaf in leaves if leaf.role == "state")}
    return [name for name in program.outputs if name.removesuffix(OUTPUT) not in others]
