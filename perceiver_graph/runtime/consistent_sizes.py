"""Checks the sizes in a manifest: each can be computed, and arrays that are one have one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from math import prod

from perceiver_graph import limits
from perceiver_graph.diagnostics import quote
from perceiver_graph.spec.arithmetic import NotASize, calculate, words
from perceiver_graph.spec.manifest import Dimension, Manifest, OutputEntry, Port, ProgramEntry
from perceiver_graph.spec.programs import STEP, WRITES

Shape = Sequence[int | str]
BATCH = "batch"


def bad_sizes(manifest: Manifest) -> Iterator[str]:
    """What is wrong with the symbols, the sizes and the shapes."""
    for name, dimension in manifest.dims.items():
        yield from _bad_dimension(name, dimension)
    known = _symbols(manifest)
    for what, shape, batched in _shapes(manifest):
        if batched and shape[:1] != [BATCH]:
            yield f"the first size of {what} is not `batch`"
        for size in shape:
            if isinstance(size, str) and (fault := _fault(size, known)):
                yield f"the size {quote(size)} of {what} {fault}"
    for name, output in manifest.outputs.items():
        yield from _bad_output(name, output)
    if (cut := manifest.places) and not all(
        cut.axis in output.axes[1 : 1 + (output.places or 0)] and cut.size in manifest.dims
        for output in manifest.outputs.values()
    ):
        yield f"not all outputs have places along {quote(cut.axis)}, which a run is cut along"
    kept: dict[str, Shape] = {}
    for port in chain.from_iterable(program.outputs for program in manifest.programs.values()):
        kept.setdefault(port.of, port.shape)
    for name, program in manifest.programs.items():
        if name in WRITES:
            yield from _bad_rows(name, program, kept)
        else:
            yield from _bad_ports(name, program, manifest, kept)


def _bad_dimension(name: str, dimension: Dimension) -> Iterator[str]:
    low = dimension.lowest
    if dimension.max is not None and low > dimension.max:
        yield f"the symbol {quote(name)} can have no value"
    default = dimension.default
    if default is not None and not low <= default <= (dimension.max or limits.SIZE):
        yield f"the symbol {quote(name)} is {default} by default, which it cannot be"


def _symbols(manifest: Manifest) -> dict[str, int]:
    """Every symbol with the smallest value that it may have."""
    known = {name: one.lowest for name, one in manifest.dims.items()}
    ports = chain.from_iterable(program.inputs for program in manifest.programs.values())
    told = ("queries", "points", "latents")
    asked = [port.shape for port in ports if port.role in told]
    if STEP in manifest.programs:  # how many there were before, which grows
        asked += [port.shape for port in manifest.programs[STEP].inputs if port.role == "state"]
    counts = {str(size): 1 for shape in asked for size in shape if str(size).isidentifier()}
    return {BATCH: 1} | counts | known


def _shapes(manifest: Manifest) -> Iterator[tuple[str, Shape, bool]]:
    """What has a shape, and whether it has a batch: what encode hands over may be a table of
    positions, the same for all."""
    for name, entry in manifest.inputs.items():
        yield f"input {quote(name)}", entry.shape, True
        if entry.among is not None:
            yield f"what {quote(name)} chooses from", [entry.among], False
        if entry.attention_mask is not None:
            yield f"the attention mask of {quote(name)}", entry.attention_mask.shape, True
    for name, output in manifest.outputs.items():
        yield f"output {quote(name)}", output.shape, True
    for name, program in manifest.programs.items():
        for port in (*program.inputs, *program.outputs):
            if port.role not in ("queries", "size", "grid", "latents", "position"):
                yield f"{quote(port.name)} of `{name}`", port.shape, port.role != "state"


def _fault(size: str, known: Mapping[str, int]) -> str | None:
    """Why a size cannot be computed, if so. That it is no whole number is seen with each call."""
    if unknown := [word for word in words(size) if word not in known]:
        return f"has the unknown symbol {quote(unknown[0])}"
    try:
        value = calculate(
            size, lambda word: Fraction(int(word) if word.isdecimal() else known[word])
        )
    except NotASize as error:
        return f"cannot be read: {error.why}"
    except ZeroDivisionError:
        return "divides by zero"
    return (
        None
        if 0 < value <= limits.SIZE
        else f"is {value} or more, and sizes are 1 to {limits.SIZE}"
    )


def _bad_output(name: str, output: OutputEntry) -> Iterator[str]:
    if len(output.shape) < 2 or not isinstance(output.shape[-1], int):
        yield f"output {quote(name)} has no fixed number of channels, last"
        return
    if 1 + len(output.at_places) + len(output.asked) != len(output.shape) - 1:
        yield f"output {quote(name)} has {output.places} places, and not as many axes"
        return
    counts = [size for size in output.asked if isinstance(size, int)]
    fixed = output.selectable and len(counts) == len(output.asked)
    if fixed and output.queries not in (None, prod(counts)):
        yield f"output {quote(name)} has {prod(counts)} queries, and `queries` is {output.queries}"
    if output.selectable and not output.asked:
        yield f"output {quote(name)} has no axis to choose from"
    if prod(counts) > limits.SIZE:
        yield f"output {quote(name)} has {prod(counts)} queries, more than there can be"


def _bad_ports(
    name: str, program: ProgramEntry, manifest: Manifest, kept: Mapping[str, Shape]
) -> Iterator[str]:
    names = [port.name for port in program.inputs]
    if twice := next((one for one in names if names.count(one) > 1), None):
        yield f"`{name}` has {quote(twice)} twice"
    for port in program.inputs:
        wanted = _wanted(port, manifest, kept)
        if wanted is not None and port.shape != wanted:
            yield f"`{name}` reads {quote(port.name)} as {port.shape}, and it has {wanted}"
    for port in program.outputs:
        output = manifest.outputs.get(port.of)
        if port.role == "output" and output and port.shape[-1:] != output.shape[-1:]:
            yield f"`{name}` gives {quote(port.name)} as {port.shape}, and it has {output.shape}"
        elif port.role == "state" and port.shape != kept[port.of]:
            yield f"`{name}` gives {quote(port.name)} as {port.shape}, and it has {kept[port.of]}"


def _bad_rows(name: str, program: ProgramEntry, kept: Mapping[str, Shape]) -> Iterator[str]:
    """What of a program that writes has another shape elsewhere: how many rows it has, changes."""
    for port in (*program.inputs, *program.outputs):
        of = kept.get(port.of, port.shape) if port.role == "state" else port.shape
        pairs = zip(port.shape, of, strict=False)
        if len(of) != len(port.shape) or any(
            a != b for a, b in pairs if isinstance(a, int) and isinstance(b, int)
        ):
            yield f"`{name}` has {quote(port.name)} as {port.shape}, and it is {of}"


def _wanted(port: Port, manifest: Manifest, kept: Mapping[str, Shape]) -> Shape | None:
    """The shape that what goes into a program has elsewhere in the manifest, if it stands there."""
    entry = manifest.inputs.get(port.of)
    if port.role == "state":
        return kept.get(port.of)
    if entry is None:
        return None
    match port.role:
        case "data":
            return entry.shape
        case "present":
            return [BATCH]
        case "attention_mask":
            return entry.attention_mask.shape if entry.attention_mask else None
    return None
