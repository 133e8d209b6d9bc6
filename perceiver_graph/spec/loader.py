"""From a file or the name of a shipped spec to a validated `Spec` that remembers where everything stands."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import perceiver_graph
from perceiver_graph import limits
from perceiver_graph.diagnostics.arguments import as_path, wrong_kind
from perceiver_graph.diagnostics.calls import answered
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.encodings import as_utf8, other_unicode
from perceiver_graph.diagnostics.errors import DiagnosticError, Report
from perceiver_graph.diagnostics.model import Source, Span
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import closest, question
from perceiver_graph.extensions import load_installed
from perceiver_graph.spec import no_spec
from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.mending import Mended
from perceiver_graph.spec.models import Spec
from perceiver_graph.spec.overrides import apply_override
from perceiver_graph.spec.plain import plain
from perceiver_graph.spec.render import render_yaml
from perceiver_graph.spec.spans import Path as Place
from perceiver_graph.spec.spans import SpanTree
from perceiver_graph.spec.unseen import explained
from perceiver_graph.spec.validation import validate
from perceiver_graph.spec.yaml12 import parse_yaml, too_large

PATH_LIMIT = 400  # characters of a path that a message repeats
STANDARD_INPUT = "-"
_NOBODY = 15.0  # seconds until a named pipe is given up
_ENDINGS = {".yaml", ".yml"}
SHIPPED = Path(perceiver_graph.__file__).parent / "specs"


@dataclass(frozen=True, repr=False)
class Document(Glanced):
    """A spec that is well-formed, and the text it came from."""

    spec: Spec
    spans: SpanTree
    source: Source

    def _glance(self) -> Glance:
        found = self.spec._glance()
        return Glance(f"{found.heading} ({self.source.path})", found.rows)

    def span(self, *path: str | int) -> Span:
        """Where the value at a path stands, or its nearest ancestor where the file leaves it out."""
        return self.spans.value(path)

    def key_span(self, *path: str | int) -> Span:
        """Where the key of the value at a path stands."""
        return self.spans.key(path)


@dataclass(frozen=True)
class Rest:
    """A spec with unknown keys, without these."""

    document: Document
    left_out: tuple[Place, ...]
    """Those whose meaning is not known."""


AnySpec = str | Path | Mapping[str, Any] | Spec
"""A path, the name of a shipped spec, YAML text, or what such a text says as a mapping."""


@answered()
def load_spec(spec: AnySpec, overrides: Sequence[str] = ()) -> Document:
    """Read a spec: a YAML file, one that ships with the package by its bare name, standard input (`-`),
    YAML text, or a mapping of what such a text would say.

    A `str` is text if it has a line break or begins with `{`, unless a file has that name; a `Path`
    never is. `overrides` are `KEY=VALUE` strings as for `--set`. Raises DiagnosticError (PG0xx, PG1xx,
    PG214) with everything that is wrong, TypeError for what can be no spec.
    """
    if isinstance(overrides, str | Mapping) or not isinstance(overrides, Sequence):
        raise wrong_kind("overrides", 'a list of "KEY=VALUE" texts', overrides)
    for override in overrides:
        if not isinstance(override, str):
            raise wrong_kind("each of overrides", 'a text such as "latents.count=64"', override)
    load_installed()
    if isinstance(spec, Spec):
        spec = spec.model_dump(mode="json", exclude_none=True)
    if isinstance(spec, Mapping):
        return parse_spec(render_yaml(plain(spec)), "<mapping>", overrides)
    if isinstance(spec, str) and ("\n" in spec or spec.startswith("{")) and not _is_file(spec):
        return parse_spec(spec, "<text>", overrides)
    given = str(as_path("spec", _WANTED, spec)) if not isinstance(spec, str) else spec
    if given == STANDARD_INPUT:
        return parse_spec(_decode(_read_standard_input(), "<stdin>"), "<stdin>", overrides)
    path = _find(given)
    shown = _shown(path, given)
    return parse_spec(_decode(_read(path, given), shown, path), shown, overrides)


_WANTED = "a path, the name of a shipped spec, YAML text or a mapping"


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except (OSError, ValueError):  # too long for a path, or with a NUL in it
        return False


def parse_spec(text: str, path: str = "<spec>", overrides: Sequence[str] = ()) -> Document:
    """Read a spec from text; `path` is what messages call it. Raises DiagnosticError."""
    source = Source(path, text.removeprefix("\ufeff"))
    try:
        return _parse(source, overrides)
    except DiagnosticError as error:
        told = _other_file(explained(error), path)
        told.rest = error.rest
        raise told from None


def _other_file(error: DiagnosticError, path: str) -> DiagnosticError:
    """Of a file that is no mapping and not called .yaml, how to write YAML better is no help."""
    suffix, (first, *others) = Path(path).suffix, error.diagnostics
    is_whole = first.code == "PG006" or first.message.startswith("the spec: expected a mapping")
    if not is_whole or suffix.lower() in (*_ENDINGS, ".json", ""):
        return error
    what = f"a spec is a YAML file, and this one ends in {quote(suffix)}"
    return DiagnosticError([replace(first, notes=(*first.notes, what), help=_start()), *others])


def _start() -> str:
    return f"name a spec, as `model.yaml`: {command('new', 'NAME')} writes one to start from"


def _parse(source: Source, overrides: Sequence[str]) -> Document:
    data, spans = parse_yaml(source)
    if isinstance(data, dict) and "spec_sha256" in data:
        beside = str(Path(source.path).with_name("spec.yaml"))
        raise DiagnosticError.of(
            "PG101",
            "this is the manifest of an artifact, and no spec",
            span=spans.key(("spec_sha256",)),
            help=f"its spec lies beside it: {command('check', beside)}",
        )
    report = Report()
    for override in overrides:
        try:
            data, spans = apply_override(override, data, spans)
        except DiagnosticError as error:
            report.extend(error.diagnostics)
    report.raise_if_errors()
    try:
        return Document(validate(Spec, data, spans), spans, source)
    except DiagnosticError as error:
        if isinstance(found := error.rest, Mended):
            error.rest = Rest(Document(found.model, found.spans, source), found.left_out)
        raise


def shipped_names() -> tuple[str, ...]:
    """The names of the specs that ship with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def _find(given: str) -> Path:
    """The file that is meant. A file of that name goes before a shipped spec."""
    if not given:
        raise DiagnosticError.of(
            "PG002",
            "the name of the spec is empty",
            help=f"name a file, or a spec that is shipped: {command('list')} has them",
        )
    path = Path(given)
    try:
        if not path.is_file() and given in shipped_names():
            return SHIPPED / f"{given}.yaml"
    except OSError:  # reading it will say what is wrong
        pass
    return path


def _shown(path: Path, given: str) -> str:
    """The path for messages: as it was given, or of a shipped spec the shortest form that is right."""
    if path.parent != SHIPPED:
        return given
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def _read(path: Path, given: str) -> bytes:
    try:
        with open(path, "rb", opener=_at_once) as file:
            content = _first_bytes(file.fileno()) + file.read(limits.SPEC_BYTES + 1)
    except FileNotFoundError:
        raise _not_found(path, given) from None
    except ValueError:  # a NUL character in the path
        raise _not_found(Path(), given) from None
    except IsADirectoryError:
        raise _folder(path, given) from None
    except OSError as error:
        reason = error.strerror or "unknown error"
        raise DiagnosticError.of(
            "PG002", f"{quote(given, PATH_LIMIT)} cannot be read: {reason}"
        ) from None
    if len(content) > limits.SPEC_BYTES:
        raise too_large(given)
    return content


def _at_once(path: str, flags: int) -> int:
    """Open a named pipe without waiting for somebody to open it for writing."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _first_bytes(descriptor: int) -> bytes:
    """Wait for what comes through a pipe; what was read to know that something comes.

    Raises OSError if nobody has it open for writing.
    """
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return b""
    first = b""
    if not select.select([descriptor], [], [], _NOBODY)[0]:
        with suppress(BlockingIOError):  # somebody has it open, and will write
            first = os.read(descriptor, 1)
            if not first:
                raise OSError(errno.EPIPE, f"nobody writes to this pipe (for {_NOBODY:g} seconds)")
    os.set_blocking(descriptor, True)
    return first


def _read_standard_input() -> bytes:
    if sys.stdin is None:
        raise DiagnosticError.of("PG002", "there is no standard input to read a spec from")
    content = sys.stdin.buffer.read(limits.SPEC_BYTES + 1)
    if len(content) > limits.SPEC_BYTES:
        raise too_large("<stdin>")
    return content


def _folder(path: Path, given: str) -> DiagnosticError:
    try:
        inside = sorted(file for file in islice(path.iterdir(), 1000) if file.suffix in _ENDINGS)
    except OSError:
        inside = []
    message = f"{quote(given, PATH_LIMIT)} is a folder, not a spec"
    start = f"a spec is a file: {command('new', 'NAME')} writes one to start from"
    return DiagnosticError.of(
        "PG002", message, help=question(map(str, inside[:3]), PATH_LIMIT) or start
    )


def _not_found(path: Path, given: str) -> DiagnosticError:
    names = shipped_names()
    nearby: list[str] = []
    try:
        siblings = islice(path.parent.iterdir(), 1000)
        nearby = [str(file) for file in siblings if file.suffix in _ENDINGS]
    except OSError:
        pass
    # The ending is no part of the likeness: all files of a folder have the same.
    files, shipped = {Path(file).stem: file for file in nearby}, {name: name for name in names}
    is_file = Path(given).suffix in _ENDINGS
    candidates = shipped | files if is_file else files | shipped
    meant = no_spec.of_a_name(given)
    close = closest(Path(given).stem if is_file else Path(given).name, candidates, 3)
    return DiagnosticError.of(
        "PG001",
        f"there is no file and no shipped spec called {quote(given, PATH_LIMIT)}",
        notes=[f"shipped specs: {', '.join(names)}"] if names else (),
        help=meant or question((candidates[name] for name in close), PATH_LIMIT),
    )


def _decode(content: bytes, path: str, file: Path | None = None) -> str:
    if encoding := other_unicode(content[:4096]):
        raise DiagnosticError.of(
            "PG003",
            f"{quote(path, PATH_LIMIT)} is {encoding} text, not UTF-8",
            help=as_utf8(content, file),
        )
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        if b"\0" in content:
            raise DiagnosticError.of(
                "PG003",
                f"{quote(path, PATH_LIMIT)} is a binary file, not YAML text",
                help=no_spec.of_a_file(file),
            ) from None
        before = content[: error.start].decode("utf-8")
        source = Source(path, content.decode("utf-8", "replace"))
        raise DiagnosticError.of(
            "PG003",
            f"{quote(path, PATH_LIMIT)} is not UTF-8 text",
            source.span(len(before), len(before) + 1),
            label=f"byte 0x{content[error.start]:02x}",
            help=as_utf8(content, file),
        ) from None
