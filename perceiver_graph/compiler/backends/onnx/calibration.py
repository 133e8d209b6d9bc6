"""Which products an int8 program computes in 8 bits, and how far its outputs are then off.

Both are measured, with onnxruntime, on an input: each product on the values that reach it, the whole
against the float32 programs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.compiler.backends.onnx import written_texts
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.graph import Graph, Input, Node
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.sizes import largest
from perceiver_graph.compiler.programs import int8
from perceiver_graph.compiler.programs.phases import OUTPUT, Programs
from perceiver_graph.compiler.programs.target import Target
from perceiver_graph.engine import onnxruntime
from perceiver_graph.spec.arithmetic import calculate
from perceiver_graph.spec.manifest import Deviation, InputEntry, Quantization
from perceiver_graph.spec.programs import PREFILL, READS, STEP, WRITES

Arrays = Mapping[str, Array]

LIMIT = 0.02
"""The largest error that a product may have in 8 bits, as a share of its size (both root mean square).

Weights and activations that are spread like a normal distribution give 0.011 whatever their sizes; a
product is at 0.02 where a few channels are twice as large as that spread provides for. Errors
of layers add like independent ones, so that one layer at 0.02 weighs as much as three ordinary ones.
"""
QUERIES = 2048
"""How many queries of an output are decoded to measure, spread evenly: all would take minutes."""
SMALLEST_SHARE = 1e-4
"""Of all operations, what a product must make up: a label is decoded with one query, whose products
take no time, and whose rounding is all in the answer."""
HEAD = "output head"
SMALL = "too small to gain"
INACCURATE = "loses accuracy"


@dataclass(frozen=True)
class Sample:
    """What is measured on: an array for each input of encode, and where they come from."""

    arrays: Arrays
    source: str


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


@dataclass(frozen=True)
class Choice:
    """Which products are computed in 8 bits; of the others, why not."""

    int8: frozenset[str]
    kept: Mapping[str, str]


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
    return Sample(found, "random input")


def _among(entry: InputEntry, sizes: Mapping[str, int]) -> int:
    """How many tokens there are to choose from, of numbers that choose some; else 0."""

    def operand(word: str) -> Fraction:
        return Fraction(int(word) if word.isdecimal() else sizes[word])

    return 0 if entry.among is None else int(calculate(str(entry.among), operand))


def write(
    trial: Trial, directory: Path, metadata: Mapping[str, str], progress: Callable[[str], None]
) -> tuple[list[str], Quantization]:
    """Write int8 programs into a folder, and say how far they are from float32."""
    from perceiver_graph.compiler.backends import onnx as backend

    candidates = _candidates(trial.programs)
    small = too_small(trial)
    aside = directory / "float32"
    aside.mkdir()
    try:
        progress("measuring products in 8 bits")
        _write_measuring(trial, aside, candidates.keys() - small)
        expected, errors = _run(aside, trial)
    finally:
        shutil.rmtree(aside)
    chosen = choose(candidates, heads(trial.programs), small, errors)
    progress("writing ONNX")
    files = backend.write(
        trial.programs,
        trial.parameters,
        directory,
        metadata,
        target=trial.target,
        int8=chosen.int8,
    )
    progress("measuring the error of int8")
    found, _ = _run(directory, trial)
    return files, Quantization(
        products=len(candidates),
        int8=len(chosen.int8),
        kept=dict(chosen.kept),
        input=trial.sample.source,
        scales="token",
        error={name: deviation(array, found[name]) for name, array in expected.items()},
    )


def too_small(trial: Trial) -> set[str]:
    """The products that 8 bits make no faster, or that take no time anyway: of a run, of reading a text
    and of a step, each by itself. What is large in one of them is so in all."""
    from perceiver_graph.compiler.backends.onnx import quantized

    programs = trial.programs
    runs = [[programs[name] for name in READS if name in programs]]
    runs += [[programs[name]] for name in WRITES if name in programs]
    large: set[str] = set()
    for run in runs:
        sizes = {k: v for program in run for k, v in largest(program.symbols).items()}
        sizes |= trial.sizes
        least = SMALLEST_SHARE * sum(program.flops.evaluate(sizes) for program in run)
        products = (item for program in run for item in quantized.candidates(program).items())
        large |= {
            name
            for name, node in products
            if int8.gains(node) and node.flops.evaluate(sizes) >= least
        }
    return _candidates(programs).keys() - large


def choose(
    candidates: Collection[str],
    heads: Collection[str],
    small: Collection[str],
    errors: Mapping[str, float],
) -> Choice:
    """Everything that gains and stays within `LIMIT`, output heads excepted.

    What a head rounds is in the answer as it is, where other errors are averaged over channels.
    """
    kept: dict[str, str] = {}
    for name in candidates:
        if name in heads:
            kept[name] = HEAD
        elif name in small:
            kept[name] = SMALL
        elif not errors[name] <= LIMIT:  # not a number where an activation is none
            kept[name] = f"{INACCURATE}: {errors[name]:.2g} of the product"
    return Choice(frozenset(candidates) - kept.keys(), kept)


def heads(programs: Programs) -> set[str]:
    """The products after which no other comes on the way to an output of the spec."""
    found = set()
    for program in programs.values():
        results = [program.outputs[name] for name in _results(programs, program)]
        found |= int8.last_products(program, results)
    return found


def _results(programs: Programs, program: Graph) -> list[str]:
    """What a program gives of the outputs of the spec: neither the latents nor state."""
    leaves = (leaf for graph in programs.values() for leaf in graph.inputs)
    others = {LATENTS, *(leaf.of for leaf in leaves if leaf.role == "state")}
    return [name for name in program.outputs if name.removesuffix(OUTPUT) not in others]


def deviation(expected: Array, found: Array) -> Deviation:
    """How far an output is off, in shares with three digits: more differ between machines."""
    if not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return Deviation()
    difference = found.astype(np.float64) - expected
    largest = np.abs(difference).max() / (np.abs(expected).max() or 1.0)
    size = np.sqrt(np.square(expected, dtype=np.float64).mean())
    rms = np.sqrt(np.square(difference).mean()) / (size or 1.0)
    return Deviation(largest=float(f"{largest:.3g}"), rms=float(f"{rms:.3g}"))


def _candidates(programs: Programs) -> dict[str, Node]:
    from perceiver_graph.compiler.backends.onnx import quantized

    return dict(item for p in programs.values() for item in quantized.candidates(p).items())


def _write_measuring(trial: Trial, directory: Path, names: Collection[str]) -> None:
    """Float32 programs that also say how far each product would be off in 8 bits."""
    from perceiver_graph.compiler.backends import onnx as backend
    from perceiver_graph.compiler.backends.onnx import quantized
    from perceiver_graph.compiler.backends.onnx.targets import lowerings_for

    target = replace(trial.target, precision="fp32")
    lowerings = quantized.measuring(lowerings_for(target), names)
    backend.write(trial.programs, trial.parameters, directory, target=target, lowerings=lowerings)


def _run(directory: Path, trial: Trial) -> tuple[dict[str, Array], dict[str, float]]:
    """The outputs of the spec by name, and the errors of the products that were measured: the largest,
    where several programs have a product."""
    given = dict(trial.sample.arrays)
    results: dict[str, Array] = {}
    errors: dict[str, float] = {}
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
        _add_errors(errors, found)
        for key in _results(trial.programs, program):
            results[key.removesuffix(OUTPUT)] = given[key]
    for name, found in _write_on(directory, trial):
        _add_errors(errors, found)
        for key in _results(trial.programs, trial.programs[name]):
            results[f"{key} of {name}"] = found[key]
    return results, errors


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


def _add_errors(found: dict[str, float], outputs: Arrays) -> None:
    """The error of each product that was measured, as a share of its size: the largest so far, not a
    number where one is none."""
    from perceiver_graph.compiler.backends.onnx.quantized import DIFFERENCE, SIZE

    for end in outputs:
        if end.endswith(DIFFERENCE):
            name = end.removesuffix(DIFFERENCE)
            difference, size = float(outputs[end]), float(outputs[f"{name}{SIZE}"])
            error = difference / size if size else (0.0 if difference == 0 else float("inf"))
            found[name] = float(np.maximum(error, found.get(name, 0.0)))
