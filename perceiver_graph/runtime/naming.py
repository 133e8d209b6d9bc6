"""Names of classes given at run time: data sets have them, and artifacts need not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perceiver_graph import formats, limits
from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.encodings import as_utf8, other_unicode
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.media.base import settings_of
from perceiver_graph.media.entries import part_of
from perceiver_graph.media.equal import given_twice, told_apart
from perceiver_graph.media.fit import equal_names
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.spec.manifest import Manifest, OutputEntry

Names = Mapping[str, Sequence[str]]
_ONE_EACH = "give a text file with a name on each line, in the order of the classes"


def read_names(requests: Iterable[str], manifest: Manifest) -> dict[str, list[str]]:
    """`FILE` and `OUTPUT=FILE` texts as the names of each output's classes.

    A file is for all outputs that have as many classes as it has lines. Raises DiagnosticError
    (PG515).
    """
    found: dict[str, list[str]] = {}
    report = Report()
    for text in requests:
        output, equals, rest = text.partition("=")
        named = equals and output in manifest.outputs
        if equals and not named and is_path(rest) and not is_path(text):
            help = did_you_mean(output, manifest.outputs)
            these = f"the outputs are {', '.join(map(quote, manifest.outputs))}"
            report.error("PG515", f"the model has no output {quote(output)}", help=help or these)
            continue
        try:
            names = _lines(rest if named else text)
        except DiagnosticError as error:
            report.extend(error.diagnostics)
            continue
        if named:
            found[output] = names
        elif fitting := [n for n in manifest.outputs if class_count(manifest, n) == len(names)]:
            found |= dict.fromkeys(fitting, names)
        else:
            counts = ", ".join(
                f"{quote(name)} has {count}"
                for name in manifest.outputs
                if (count := class_count(manifest, name)) is not None
            )
            message = f"{text} has {len(names)} names, and no output has as many classes"
            notes = [counts] if counts else []
            if "" in names:
                notes.append(f"an empty line counts: line {names.index('') + 1}")
            report.error("PG515", message, notes=notes, help=_ONE_EACH)
    report.raise_if_errors()
    return found


def with_names(manifest: Manifest, names: Names) -> Manifest:
    """The manifest with other names for the classes of its outputs. Raises PG515."""
    report = Report()
    outputs = dict(manifest.outputs)
    for name, given in names.items():
        count = class_count(manifest, name) if name in outputs else None
        if count is None:
            known = [quote(one) for one in outputs if class_count(manifest, one) is not None]
            message = f"{quote(name)} is no output whose classes have names"
            help = f"these are: {', '.join(known)}" if known else "leave the names out"
            report.error("PG515", message, help=help)
        elif count != len(given):
            message = (
                f"{len(given)} names are given for the {count} classes of output {quote(name)}"
            )
            report.error("PG515", message, help=_ONE_EACH)
        elif _is_by_name(outputs[name]) and (equal := given_twice(given)):
            _report_equal(name, equal, given, report)
        else:
            outputs[name] = _renamed(outputs[name], given)
    report.raise_if_errors()
    return manifest.model_copy(update={"outputs": outputs})


def _is_by_name(entry: OutputEntry) -> bool:
    """Whether the results are written by name, so that of two equal ones one would be lost."""
    assert entry.media is not None
    return equal_names in entry.media.output_refusals


def _report_equal(
    name: str, equal: tuple[int, int, str], given: Sequence[str], report: Report
) -> None:
    first, again, called = equal
    report.error(
        "PG515",
        f"names {first + 1} and {again + 1} of output {quote(name)} are both {quote(called)}, and its "
        "numbers are written by name",
        help=f"give each its own, {quote(told_apart(given)[again])} say",
    )


def class_count(manifest: Manifest, name: str) -> int | None:
    """How many classes of an output have names; None if it has none."""
    entry = manifest.outputs[name]
    if entry.media is None:
        return None
    parts = {name: part_of(name, one) for name, one in manifest.outputs.items()}
    count = entry.media.class_count(parts[name], parts)
    return None if count is None else int(count)


def _renamed(entry: OutputEntry, names: Sequence[str]) -> OutputEntry:
    assert entry.media is not None
    settings = settings_of(entry.media).model_copy(update={"names": list(names)})
    media = entry.media.model_copy(update={entry.media.key: settings})
    return entry.model_copy(update={"media": media})


def _lines(path: str) -> list[str]:
    try:
        source = Source.of(path, noun="text file", most=limits.NAMES_BYTES)
        content = source.read(limits.NAMES_BYTES + 1)
    except DiagnosticError as error:
        message = f"the names in {path} cannot be read: {error.diagnostics[0].message}"
        raise DiagnosticError.of("PG515", message, help=_ONE_EACH) from error
    fault = f"the names in {source} cannot be read"
    if len(content) > limits.NAMES_BYTES:
        message = f"{fault}: it is too long for names of classes"
        raise DiagnosticError.of("PG515", message, help=_ONE_EACH)
    encoding = other_unicode(content[:4096])
    try:
        names = (b"\xff" if encoding else content).decode("utf-8-sig").splitlines()
    except ValueError as error:
        what = formats.known(content[: formats.HEAD])
        if what is not None and encoding is None:
            message = f"{fault}: it is {what.name}, and no text"
            raise DiagnosticError.of("PG515", message, help=_ONE_EACH) from error
        message = f"{fault}: it is not UTF-8 text" + (f" but {encoding}" if encoding else "")
        help = as_utf8(content, source.file)
        raise DiagnosticError.of("PG515", message, help=help) from error
    while names and not names[-1].strip():
        names.pop()
    return [name.strip() for name in names]
