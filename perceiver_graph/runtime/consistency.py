"""Checks that the parts of a manifest fit each other, so that running a program cannot trip later."""

from __future__ import annotations

from collections.abc import Iterator

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.runtime.consistent_attention import bad_attention
from perceiver_graph.runtime.consistent_sizes import bad_sizes
from perceiver_graph.spec.manifest import InputEntry, Manifest, Port
from perceiver_graph.spec.programs import ASKED, PREFILL, READS, SHOWS, STEP, WRITES, Role


def check_programs(manifest: Manifest, report: Report) -> None:
    """Report (PG403) every program, port, input or output that refers to something absent."""
    for fault in _faults(manifest):
        report.error("PG403", f"manifest.json: {fault}", help="compile again")


def _faults(manifest: Manifest) -> Iterator[str]:
    for group in (manifest.inputs, manifest.outputs):
        for name, entry in group.items():
            if len(entry.axes) != len(entry.shape) or entry.axes[:1] != ["batch"]:
                yield f"{quote(name)} needs one size for each axis, and `batch` as the first axis"
    for name, entry in manifest.inputs.items():
        yield from _bad_coordinates(name, entry, manifest)
        mask = entry.attention_mask
        if mask and (len(mask.axes) != len(mask.shape) or mask.axes[:1] != ["batch"]):
            yield f"the attention mask of {quote(name)} needs one size for each axis, `batch` first"
    if manifest.chunks < 1:
        yield f"`chunks` is {manifest.chunks}, and must be at least 1"
    if not manifest.programs:
        if "onnx" in manifest.backends:
            yield "`backends` has `onnx`, but `programs` is empty"
        return
    found = list(_bad_programs(manifest)) or list(_bad_ports(manifest))
    found = found or [*bad_sizes(manifest)]
    yield from found or bad_attention(manifest)


def _bad_programs(manifest: Manifest) -> Iterator[str]:
    for name, program in manifest.programs.items():
        if name not in {*READS, *WRITES, *SHOWS}:
            yield f"`{name}` is no program that this release knows"
        if program.file not in manifest.files:
            yield f"the file {quote(program.file)} of program `{name}` is not among `files`"
    if "encode" not in manifest.programs:
        yield "`programs` lacks `encode`"


def _bad_ports(manifest: Manifest) -> Iterator[str]:
    programs = {name: manifest.programs[name] for name in READS if name in manifest.programs}
    made = set[str]()
    yield from _bad_writing(manifest)
    read = {**READS, **SHOWS}
    shown = {name: manifest.programs[name] for name in SHOWS if name in manifest.programs}
    for name, program in {**programs, **shown}.items():
        for port in program.inputs:
            if port.role not in read[name]:
                yield f"`{name}` has an input of role `{port.role}`"
            elif port.role != "state":
                yield from _bad_input(port, f"`{name}`", manifest)
            elif port.of not in made:  # its own state, too, comes from one before it at first
                yield f"`{name}` reads {quote(port.of)}, which no program before it hands over"
        if name in READS:
            made |= {port.of for port in program.outputs}
    if "latents" not in {port.of for port in programs["encode"].outputs}:
        yield "`encode` does not give the `latents`"
    asked = {p.of for program in programs.values() for p in program.inputs if p.role in ASKED}
    for name, output in manifest.outputs.items():
        if name not in made:
            yield f"no program computes the output {quote(name)}"
        elif output.selectable and "decode" in programs and name not in asked:
            yield f"`decode` has no queries of {quote(name)}"


def _bad_writing(manifest: Manifest) -> Iterator[str]:
    """What is wrong with the programs that write a text, and what is said of them."""
    programs = {name: manifest.programs[name] for name in WRITES if name in manifest.programs}
    found = manifest.generation
    if found is None or found.refused is not None:
        yield from (f"`{name}` is there, and the model writes no text" for name in programs)
        return
    entry, output = manifest.inputs.get(found.text), manifest.outputs.get(found.output or "")
    known = entry.vocabulary if entry is not None and len(entry.shape) == 2 else None
    if known is None or output is None or output.shape[-1] != known:
        yield f"`generation` needs ids, and an output of scores for them, not {quote(found.text)}"
    elif found.longest is not None and found.longest < found.latents:
        yield f"`generation` has {found.latents} latents of texts of at most {found.longest} tokens"
    elif lost := [name for name in WRITES if name not in programs]:
        yield f"`generation` is there, and the program `{lost[0]}` is not"
    else:
        for name, roles in WRITES.items():
            for port in programs[name].inputs:
                yield from _bad_text_input(port, name, roles, manifest)
            shape = next((p.shape for p in programs[name].outputs if p.of == found.output), None)
            if shape != ["batch", 1, known]:
                yield f"`{name}` gives no scores {quote(found.output or '')} of one token"
        kept, read, given = (
            {port.of for port in ports if port.role == "state"}
            for ports in (
                programs[PREFILL].outputs,
                programs[STEP].inputs,
                programs[STEP].outputs,
            )
        )
        if strange := sorted(read - kept) + sorted(kept - given):
            yield f"{quote(strange[0])} does not go from `{PREFILL}` to `{STEP}`, and on to itself"


def _bad_text_input(
    port: Port, program: str, roles: frozenset[Role], manifest: Manifest
) -> Iterator[str]:
    """What is wrong with an input of a program that writes."""
    assert manifest.generation is not None
    if port.role not in roles:
        yield f"`{program}` has an input of role `{port.role}`"
    elif port.role in ("latents", "position"):
        if port.dtype != "int64" or len(port.shape) != 1:
            yield f"{quote(port.name)} of `{program}` holds no places"
    elif port.role != "state":
        yield from _bad_input(port, f"`{program}`", manifest)
        if program == STEP and port.role != "size" and port.of != manifest.generation.text:
            yield f"`{program}` reads {quote(port.of)}, which does not grow"


def _bad_input(port: Port, program: str, manifest: Manifest) -> Iterator[str]:
    entry, output = manifest.inputs.get(port.of), manifest.outputs.get(port.of)
    of = quote(port.of)
    match port.role:
        case "points":
            yield from _bad_points(port, program, manifest)
        case "size" | "grid":
            yield from _bad_sizes(port, program, manifest)
        case "queries":
            if output is None:
                yield f"{program} has queries of {of}, which is not among `outputs`"
            elif not (len(port.shape) == 1 and isinstance(port.shape[0], str)):
                yield f"the number of queries of {of} is not a symbol"
        case _ if entry is None:
            yield f"{program} reads {of}, which is not among `inputs`"
        case "attention_mask":
            if entry.attention_mask is None:
                yield f"{program} reads an attention mask of {of}, which has none"
        case _ if entry.points_of:
            yield f"{program} reads {of}, which holds points of an output"
        case _ if entry.mask == "always":
            yield f"{program} reads {of}, which is always masked"
        case "data" if port.dtype != entry.dtype:
            yield f"{program} reads {of} as {port.dtype}"


def _bad_sizes(port: Port, program: str, manifest: Manifest) -> Iterator[str]:
    output, fits = manifest.outputs.get(port.of), port.of in manifest.dims and port.shape == [1]
    if port.role == "grid":
        fits = output is not None and port.shape == [len(output.shape) - 2]
    if not fits or port.dtype != "int64":
        yield f"{program} reads the {port.role} of {quote(port.of)}, which has none such"


def _bad_coordinates(name: str, entry: InputEntry, manifest: Manifest) -> Iterator[str]:
    unknown = [other for other in entry.beside if other not in manifest.inputs]
    unknown += [other for other in entry.points_of if other not in manifest.outputs]
    if unknown:
        yield f"{quote(name)} is for {quote(unknown[0])}, which is not there"
    if entry.points_of and not (len(entry.shape) == 3 and isinstance(entry.shape[1], str)):
        yield f"the number of points in {quote(name)} is not a symbol"
    if entry.among is not None and (entry.dtype != "int64" or len(entry.beside) != 1):
        yield f"{quote(name)} needs to be int64, and beside one input, to choose tokens of it"
    for key, found in (("ranges", entry.ranges), ("periods", entry.periods)):
        if found is not None and entry.shape[-1] != len(found):
            yield f"{quote(name)} needs two numbers for each of its channels as `{key}`"
    if any(bounds is not None and bounds[0] >= bounds[1] for bounds in entry.periods or ()):
        yield f"{quote(name)} has a period in `periods` that does not end after it begins"
    if entry.coordinates and entry.shape[-1] != len(entry.coordinates):
        yield f"{quote(name)} needs a name for each of its channels as `coordinates`"


def _bad_points(port: Port, program: str, manifest: Manifest) -> Iterator[str]:
    output = manifest.outputs.get(port.of)
    array = next((one for one in manifest.inputs.values() if port.of in one.points_of), None)
    if output is None:
        yield f"{program} has points of {quote(port.of)}, which is not among `outputs`"
    elif array is None or array.dtype != port.dtype or array.shape[2:] != port.shape[2:]:
        yield f"the points of {quote(port.of)} are not among `inputs`"
    elif not (len(port.shape) == 3 and isinstance(port.shape[1], str)):
        yield f"the number of points of {quote(port.of)} is not a symbol"
    elif output.asked != port.shape[1:2]:
        yield f"the output {quote(port.of)} has not as many places as points"
