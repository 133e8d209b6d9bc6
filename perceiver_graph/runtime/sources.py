"""What a model is run on: which of the files and texts named are for which input."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.commands import arrays, either, option
from perceiver_graph.diagnostics.words import did_you_mean, is_slip, joined, nearest
from perceiver_graph.media.entries import make_readers
from perceiver_graph.media.io import Piece, Reader, Reading
from perceiver_graph.media.names import type_of
from perceiver_graph.runtime.chunks import reading_room
from perceiver_graph.runtime.opening import STANDARD_INPUT, stream_key
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.runtime.read_calls import as_given, in_python
from perceiver_graph.spec.manifest import Manifest, axes_of

_ARCHIVE = ".npz"
_SHORTEST = 3  # letters of a name that is told from a word of a text


@dataclass(frozen=True)
class Subject:
    """Something to run on: a clip, a picture, a text, or what several inputs take together."""

    readings: tuple[Reading, ...]
    """What comes in several pieces stands first."""
    notes: tuple[str, ...] = ()
    """What is said of how it was understood."""

    @property
    def label(self) -> str:
        """What it is called in front of people."""
        return self.readings[0].label

    @property
    def stem(self) -> str:
        """What names the files of its results."""
        return self.readings[0].stem

    @property
    def files(self) -> list[Path]:
        """All files that are read."""
        return list(dict.fromkeys(path for one in self.readings for path in one.files))

    @property
    def sources(self) -> list[str]:
        """All that is read, as the summary lists it."""
        lists = (one.sources or tuple(map(str, one.files)) for one in self.readings)
        return list(dict.fromkeys(source for sources in lists for source in sources))

    @property
    def expected(self) -> int | None:
        """The number of pieces, as far as it is known."""
        return self.readings[0].expected

    def pieces(self) -> Iterator[Piece]:
        """The pieces; what comes in one piece is part of each."""
        lead, *others = self.readings
        fixed = [next(other.pieces()) for other in others]
        for piece in lead.pieces():
            yield Piece(
                {name: array for one in (piece, *fixed) for name, array in one.arrays.items()},
                tuple(origin for one in (piece, *fixed) for origin in one.origins),
                piece.about,
                (*self.notes, *self._of_each((piece, *fixed))),
                piece.part,
            )

    def _of_each(self, pieces: Sequence[Piece]) -> Iterator[str]:
        """The notes of pieces that are read together: of which file each is, where there are several."""
        for one, piece in zip(self.readings, pieces, strict=True):
            place = f"{one.label}: " if len(self.readings) > 1 else ""
            yield from (f"{place}{note}" for note in piece.notes)


def file_readers(
    manifest: Manifest,
    memory: int | None = None,
    given: Collection[str] = (),
    values: Sequence[str | Path] = (),
    row: str = "",
) -> tuple[Reader, ...]:
    """What reads the inputs of a model from files, but for those `given` as arrays.

    `values` is what will be read, and `row` how a table gives arrays, for messages. A budget of a run
    in bytes bounds what reading may take. Raises DiagnosticError (PG403, PG501, PG512).
    """
    inputs = {name: entry for name, entry in manifest.inputs.items() if name not in given}
    used = {name: entry for name, entry in inputs.items() if entry.mask != "always"}
    readers = make_readers(manifest, given)
    way = _arrays(values)
    taken = [name for name, entry in manifest.inputs.items() if name in given and entry.media]
    if not readers and taken:
        message = f"no input is left for files: {' and '.join(map(quote, taken))} came as an array"
        raise DiagnosticError.of("PG512", message, help="leave out the files, or that array")
    if not readers:
        names = ", ".join(quote(name) for name in used)
        instead = row or _way_of(next(iter(used), "NAME"), way, values)
        raise DiagnosticError.of(
            "PG512",
            f"no input of {manifest.name} is read from files (its inputs: {names or 'all are arrays'})",
            help=f"pass arrays instead: {instead}; or give an input `media` in the spec and compile again",
        )
    for reader in readers:
        reader.room = reading_room(manifest, memory)
    report = Report()
    if sum(reader.streams for reader in readers) > 1:
        names = " and ".join(quote(n) for r in readers if r.streams for n in r.inputs)
        message = f"{names} come in several pieces each, which cannot be told to fit"
        report.error("PG512", message, help=f"pass arrays instead: {row or way}")
    filled = {name for reader in readers for name in reader.inputs}
    for name, entry in used.items():
        if entry.mask == "never" and name not in filled:
            report.error(
                "PG501",
                f"input {quote(name)} is not read from files: {entry.dtype} {axes_of(entry)}",
                help=f"add it as an array, beside the files: {row or _beside(name, way)}",
            )
    report.raise_if_errors()
    return readers


def _way_of(name: str, way: str, values: Sequence[str | Path]) -> str:
    array = next((one for one in map(str, values) if one.endswith(".npy")), "FILE.npy")
    array = array.rpartition("=")[2]
    return either(f"{option(f'{name}={array}')}, or {way}", f'`program.run({{"{name}": ARRAY}})`')


def _beside(name: str, way: str) -> str:
    """The same for `run_files`, which takes files as well."""
    typed = f"{option(f'{name}=FILE.npy')}, or {way} with {quote(name)} in it"
    return either(typed, f'`arrays={{"{name}": ARRAY}}`')


def _arrays(values: Sequence[str | Path]) -> str:
    """How arrays are given: with the archive that was named among the files, if one was."""
    archives = [one for one in map(_path, values) if one.suffix == _ARCHIVE]
    return arrays(archives[0] if archives else "IN.npz")


def _path(value: str | Path) -> Path:
    """The path in `PATH` or `INPUT=PATH`."""
    return Path(value if is_path(str(value)) else str(value).rpartition("=")[2])


def find_subjects(values: Sequence[str | Path], readers: Sequence[Reader]) -> list[Subject]:
    """What the arguments mean. Every file is looked at before any work begins.

    Those written `INPUT=VALUE` make up one subject together; the others are subjects of their own,
    as many of them each as the model's kind of input takes. Raises DiagnosticError (PG501, PG507 to
    PG512, PG514) for all that cannot be used.
    """
    report = Report()
    plain: list[str] = []
    named: dict[str, list[str]] = {}
    _refuse_twice([str(value) for value in values], readers, report)
    _refuse_archives(values, readers, report)
    for value in map(str, values):
        name, _, rest = value.partition("=")
        if not _is_named(value, readers):
            plain.append(value)
        else:
            named.setdefault(name, []).append(rest)
    if not values:
        nouns = " or ".join(reader.noun for reader in readers)
        report.error("PG501", "no file was given", help=f"name {nouns}")
    if plain and len(readers) > 1 and (told := _by_kind(plain, readers)) and not {*told} & {*named}:
        plain, named = [], {**named, **told}
    if plain and len(readers) > 1:
        _ask(plain, readers, report)
        report.raise_if_errors()
    subjects = _plain_subjects(plain, readers[0], report)
    if named := {
        name: values for name, values in named.items() if _known(name, values, readers, report)
    }:
        subjects += _named_subject(named, readers, report)
    report.raise_if_errors()
    return subjects


def _refuse_twice(values: Sequence[str], readers: Sequence[Reader], report: Report) -> None:
    """What comes through a pipe comes once: it cannot be two inputs."""
    seen: dict[object, str] = {}
    for value in values:
        name, equals, rest = value.partition("=")
        given = rest if equals and any(name in reader.inputs for reader in readers) else value
        key = stream_key(given)
        if key is not None and key in seen:
            what = "standard input" if key == STANDARD_INPUT else quote(given)
            message = f"{what} is named twice, and what comes from it can be read once only"
            report.error("PG512", message, help="save it to a file, and name that twice")
        seen[key] = given
    report.raise_if_errors()


def _refuse_archives(
    values: Sequence[str | Path], readers: Sequence[Reader], report: Report
) -> None:
    """Arrays by name are no file of an input."""
    for path in () if any(reader.archives for reader in readers) else map(_path, values):
        if path.suffix == _ARCHIVE and is_path(str(path)):
            message = f"{quote(path)} is an archive of arrays, and no input is read from one"
            loaded = f"`program.run(numpy.load({in_python(str(path))}))`"
            help = f"pass it as arrays: {either(arrays(path), loaded)}"
            report.error("PG512", message, help=help)
    report.raise_if_errors()


def _is_named(value: str, readers: Sequence[Reader]) -> bool:
    """Whether a value says which input it is for: a text may have a `=`, too."""
    name, equals, _ = value.partition("=")
    if not equals or is_path(value):
        return False
    inputs = _inputs(readers)
    if name in inputs or not any(reader.literal for reader in readers):
        return True
    return any(_is_surely(name, one) for one in inputs)


def _is_surely(word: str, name: str) -> bool:
    """Whether a word can only be meant as an input's name: it differs in case, or by one slip behind
    its first letter. `test=1` is a text for an input `text`, and `ab=1` for an input `a`."""
    ours, theirs = word.casefold(), name.casefold()
    if min(len(ours), len(theirs)) < _SHORTEST or not word.isidentifier():
        return False
    return ours == theirs or (ours[0] == theirs[0] and is_slip(ours, theirs))


def _notes(values: Sequence[str], readers: Sequence[Reader]) -> tuple[str, ...]:
    """What was taken for a text, and looks as if it named an input."""
    for value in values:
        name, equals, rest = value.partition("=")
        meant = nearest(name, _inputs(readers)) if equals and name.isidentifier() else None
        if meant is not None and not is_path(value):
            wanted = as_given(f"{meant}={rest}")
            return (f"{quote(value)} was read as a text; for the input {quote(meant)}: {wanted}",)
    return ()


def _known(name: str, values: Sequence[str], readers: Sequence[Reader], report: Report) -> bool:
    inputs = _inputs(readers)
    if name in inputs:
        return True
    message = f"{quote(name)} is no input that is read from a file"
    these = f"these are: {', '.join(map(quote, inputs))}"
    texts = [] if is_path(values[0]) else [one.inputs[0] for one in readers if one.literal]
    as_text = [f"as a text: {as_given(f'{one}={name}={values[0]}')}" for one in texts[:1]]
    report.error("PG512", message, help=did_you_mean(name, inputs) or these, notes=as_text)
    return False


def _by_kind(values: Sequence[str], readers: Sequence[Reader]) -> dict[str, list[str]]:
    """Which input each file is for, where its kind says so: one that takes pictures, one that takes
    sound. Empty where a kind is that of several inputs or of none, or two files are of one."""
    found: dict[str, list[str]] = {}
    for value in values:
        of_kind = [one for one in readers if is_path(value) and one.reads(value)]
        if len(of_kind) != 1 or len(of_kind[0].inputs) != 1 or of_kind[0].inputs[0] in found:
            return {}
        found[of_kind[0].inputs[0]] = [value]
    return found


def _ask(values: Sequence[str], readers: Sequence[Reader], report: Report) -> None:
    """Report (PG512) what could be for several inputs, or names one that is not there."""
    inputs, value = _inputs(readers), values[0]
    name, equals, rest = value.partition("=")
    if equals and not is_path(value) and (nearest(name, inputs) or is_path(rest)):
        _known(name, [rest], readers, report)
        return
    # What is no file is a text, if texts are taken.
    likely = [one for one in readers if one.literal != is_path(value)] or readers
    kind = type_of(value)
    usual = [one for one in readers if is_path(value) and one.reads(value)]
    if is_path(value) and not usual and _is_of_no_use(kind, likely):
        nouns = " or ".join(one.noun for one in likely)
        message = f"{quote(value)} is {kind}, and no input is read from that"
        report.error("PG512", message, help=f"name {nouns}")
        return
    several = len(values) > 1
    report.error(
        "PG512",
        f"it cannot be told which input{'s' * several} {joined(map(quote, values), 'and')} "
        f"{'are' if several else 'is'} for: the model takes {', '.join(map(quote, inputs))}",
        help=_say(values, readers),
    )


def _say(values: Sequence[str], readers: Sequence[Reader]) -> str:
    """The call with a name before each value; one that no input is left for needs a call of its own."""
    named = [*_each_named(values, readers)]
    rest = ", and the others in a call of their own" if len(named) < len(values) else ""
    return f"say it: {as_given(*named)}{rest}"


def _each_named(values: Sequence[str], readers: Sequence[Reader]) -> Iterator[str]:
    """`INPUT=FILE` of each: the input that is the likeliest of those that are left."""
    left = _inputs(readers)
    for value in values:
        fitting = [one for one in readers if is_path(value) and one.reads(value)]
        fitting = fitting or [one for one in readers if one.literal != is_path(value)]
        wanted = [one.input_for(value) for one in fitting]
        wanted += [name for one in fitting or readers for name in one.inputs]
        if name := next((one for one in wanted if one in left), None):
            left.remove(name)
            yield f"{name}={value}"


def _is_of_no_use(kind: str, readers: Sequence[Reader]) -> bool:
    """Whether a file has pictures or sound, and every input says that it takes something else."""
    seen = ("image/", "video/", "audio/")
    taken = [type for one in readers for type in one.media_types or seen]
    return kind.startswith(seen) and not any(type.startswith(seen) for type in taken)


def _inputs(readers: Sequence[Reader]) -> list[str]:
    return [name for reader in readers for name in reader.inputs]


def _plain_subjects(values: Sequence[str], reader: Reader, report: Report) -> list[Subject]:
    found = []
    try:
        for group in reader.split(values):
            try:
                found.append(Subject((reader.open(group),), _notes(group, [reader])))
            except DiagnosticError as error:
                report.extend(error.diagnostics)
    except DiagnosticError as error:
        report.extend(error.diagnostics)
    return found


def _named_subject(
    named: dict[str, list[str]], readers: Sequence[Reader], report: Report
) -> list[Subject]:
    readings = []
    for reader in sorted(readers, key=lambda one: not one.streams):
        if own := {name: values for name, values in named.items() if name in reader.inputs}:
            try:
                readings.append(reader.open_named(own))
            except DiagnosticError as error:
                report.extend(error.diagnostics)
    return [Subject(tuple(readings))] if readings else []
