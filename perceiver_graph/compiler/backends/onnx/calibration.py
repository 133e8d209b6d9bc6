"""Which products an int8 program computes in 8 bits, and how far its outputs are then off.

Both are measured, with onnxruntime, on an input: each product on the values that reach it, the whole
against the float32 programs.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perceiver_graph.compiler.backends.onnx.node_builder import Lowering
from perceiver_graph.compiler.backends.onnx.trial import Arrays, Trial, asked, run
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ir.op import Array, Op
from perceiver_graph.compiler.ir.sizes import largest
from perceiver_graph.compiler.programs import int8
from perceiver_graph.compiler.programs.phases import Programs
from perceiver_graph.spec.manifest import Deviation, Quantization
from perceiver_graph.spec.programs import READS, WRITES

LIMIT = 0.02
"""The largest error that a product may have in 8 bits, as a share of its size (both root mean square).

Weights and activations that are spread like a normal distribution give 0.011 whatever their sizes; a
product is at 0.02 where a few channels are twice as large as that spread provides for. Errors
of layers add like independent ones, so that one layer at 0.02 weighs as much as three ordinary ones.
"""
SMALLEST_SHARE = 1e-4
"""Of all operations, what a product must make up: a label is decoded with one query, whose products
take no time, and whose rounding is all in the answer."""
HEAD = "output head"
READ_BY_ALL = "read by every query"
SMALL = "too small to gain"
INACCURATE = "loses accuracy"


@dataclass(frozen=True)
class Choice:
    """Which products are computed in 8 bits; of the others, why not."""

    int8: frozenset[str]
    kept: Mapping[str, str]

    def without(self, errors: Mapping[str, float]) -> Choice:
        """The same, but for the products that are off by more than `LIMIT`."""
        inaccurate = {
            name: f"{INACCURATE}: {errors[name]:.2g} of the product"
            for name in sorted(self.int8)
            if not errors[name] <= LIMIT  # not a number where an activation is none
        }
        return Choice(self.int8 - inaccurate.keys(), {**self.kept, **inaccurate})


def write(
    trial: Trial,
    averaged: Trial | None,
    directory: Path,
    metadata: Mapping[str, str],
    progress: Callable[[str], None],
) -> tuple[list[str], Quantization]:
    """Write int8 programs into a folder, and say how far they are from float32 for `trial`, whose input
    is another than that of `averaged`, of which the means are."""
    from perceiver_graph.compiler.backends.onnx import files as onnx_files

    candidates = _candidates(trial.programs)
    small = too_small(trial)
    usual = choose(candidates, heads(trial.programs), read_by_all(trial.programs), small)
    progress("measuring products in 8 bits")
    means = _means(averaged, directory, usual.int8) if averaged else {}
    # Without the means: what is accurate by them alone would not be for inputs that have others.
    expected, errors = _errors(trial, directory, int8.Rounding(usual.int8))
    chosen = usual.without(errors)
    progress("writing ONNX")
    files = onnx_files.write(
        trial.programs,
        trial.parameters,
        directory,
        metadata,
        target=trial.target,
        int8=int8.Rounding(chosen.int8, means),
    )
    progress("measuring the error of int8")
    found = run(directory, trial)
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
    together = [[programs[name] for name in READS if name in programs]]
    together += [[programs[name]] for name in WRITES if name in programs]
    large: set[str] = set()
    for some in together:
        sizes = {k: v for program in some for k, v in largest(program.symbols).items()}
        sizes |= trial.sizes
        least = SMALLEST_SHARE * sum(program.flops.evaluate(sizes) for program in some)
        products = (item for program in some for item in quantized.candidates(program).items())
        large |= {
            name
            for name, node in products
            if int8.gains(node) and node.flops.evaluate(sizes) >= least
        }
    return _candidates(programs).keys() - large


def choose(
    candidates: Collection[str],
    heads: Collection[str],
    read_by_all: Collection[str],
    small: Collection[str],
) -> Choice:
    """Everything that gains, but for what output heads and decoders read with.

    What a head rounds is in the answer as it is, where other errors are averaged over channels; what is
    rounded in the keys and values of a decoder, all queries read alike.
    """
    kept: dict[str, str] = {}
    for name in candidates:
        if name in heads:
            kept[name] = HEAD
        elif name in small:
            kept[name] = SMALL
        elif name in read_by_all:
            kept[name] = READ_BY_ALL
    return Choice(frozenset(candidates) - kept.keys(), kept)


def heads(programs: Programs) -> set[str]:
    """The products after which no other comes on the way to an output of the spec."""
    found = set()
    for program in programs.values():
        results = [program.outputs[name] for name in asked(programs, program)]
        found |= int8.last_products(program, results)
    return found


def read_by_all(programs: Programs) -> set[str]:
    """The products that make keys and values of the latents, for decoders."""
    found = set()
    for program in programs.values():
        of_inputs = [leaf.value for leaf in program.inputs if leaf.of == LATENTS]
        of_outputs = [value for name, value in program.outputs.items() if name == LATENTS]
        found |= int8.next_products(program, [*of_inputs, *of_outputs])
    return found


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


def _means(trial: Trial, directory: Path, products: frozenset[str]) -> dict[str, Array]:
    """The means of what products are of, by the names of these values, over all tokens of the sample; of
    the first program that has one. Shapes: float32 [channels]."""
    from perceiver_graph.compiler.backends.onnx.quantized import MEAN, averaging

    found: dict[str, Array] = {}

    def add(outputs: Arrays) -> None:
        for end in outputs:
            if end.endswith(MEAN):
                # of values that overflow, nothing is left out: they are found by their errors
                found.setdefault(
                    end.removesuffix(MEAN), np.nan_to_num(outputs[end], posinf=0, neginf=0)
                )

    _run_float32(trial, directory, averaging, int8.Rounding(products), add)
    return found


def _errors(
    trial: Trial, directory: Path, rounding: int8.Rounding
) -> tuple[dict[str, Array], dict[str, float]]:
    """The outputs of the spec in float32, and the error of each product as a share of its size: the
    largest, where several programs have it, not a number where one is none."""
    from perceiver_graph.compiler.backends.onnx.quantized import DIFFERENCE, SIZE, measuring

    found: dict[str, float] = {}

    def add(outputs: Arrays) -> None:
        for end in outputs:
            if end.endswith(DIFFERENCE):
                name = end.removesuffix(DIFFERENCE)
                difference, size = float(outputs[end]), float(outputs[f"{name}{SIZE}"])
                error = difference / size if size else (0.0 if difference == 0 else float("inf"))
                found[name] = float(np.maximum(error, found.get(name, 0.0)))

    return _run_float32(trial, directory, measuring, rounding, add), found


def _run_float32(
    trial: Trial,
    directory: Path,
    beside: Callable[..., dict[type[Op], Lowering]],
    rounding: int8.Rounding,
    told: Callable[[Arrays], None],
) -> dict[str, Array]:
    """The outputs of the spec of float32 programs that also say something of products."""
    from perceiver_graph.compiler.backends.onnx import files as onnx_files
    from perceiver_graph.compiler.backends.onnx.targets import lowerings_for

    target = replace(trial.target, precision="fp32")
    lowerings = beside(lowerings_for(target), rounding.products)
    aside = directory / "float32"
    aside.mkdir()
    try:
        onnx_files.write(
            trial.programs,
            trial.parameters,
            aside,
            target=target,
            int8=rounding,
            lowerings=lowerings,
        )
        return run(aside, trial, told)
    finally:
        shutil.rmtree(aside)
