"""What is defined outside the package: steps, positions, queries, heads, primitives, passes, media, backends.

An extension is a Python module whose classes register themselves by being defined. It is run because
somebody named its file, or installed a package that lists it under the entry-point group.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from perceiver_graph.diagnostics.arguments import as_path
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import Source, Span
from perceiver_graph.diagnostics.text import quote

GROUP = "perceiver_graph.extensions"
"""The entry points of installed extensions."""
_OURS = Path(__file__).parent
_LONGEST = 400  # characters of a path or a message that are repeated


@dataclass(frozen=True)
class Extension:
    """A module that was run as an extension."""

    name: str
    """Of its entry point, or of its file without the ending."""
    module: str
    package: str | None = None
    """The installed package that lists it, with its version."""


LOADED: dict[str, Extension] = {}
"""By the name of the module."""


def extend(path: str | os.PathLike[str]) -> None:
    """Run a Python file as an extension: what it defines is there from then on.

    The same file is run once. Raises DiagnosticError (PG701) where it cannot be run.
    """
    file = as_path("path", "a Python file", os.fspath(path))
    place = file.resolve()
    name = f"perceiver_graph_extension_{sha256(str(place).encode()).hexdigest()[:12]}"
    if name in LOADED:
        return
    found = spec_from_file_location(name, place) if place.suffix == ".py" else None
    if found is None or found.loader is None or not place.is_file():
        what = "is no Python file" if place.exists() else "does not exist"
        raise DiagnosticError.of("PG701", f"the extension {quote(str(file), _LONGEST)} {what}")
    module = sys.modules[name] = module_from_spec(found)  # models are resolved by it
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(str(file), error) from error
    LOADED[name] = Extension(place.stem, name)


@cache
def load_installed() -> None:
    """Run the extensions that installed packages list, once. A broken one is a note, and is left out."""
    if not any(map(_lists_some, dict.fromkeys(sys.path))):
        return
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP):
        try:
            __import__(entry.module)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is not ours
            found = _broken(entry.name, error).diagnostics[0]
            where = f" ({found.primary.span})" if found.primary else ""
            logging.getLogger("perceiver_graph").warning("%s%s", found.message, where)
            continue
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else None
        LOADED[entry.module] = Extension(entry.name, entry.module, package)


def _lists_some(folder: str) -> bool:
    """Whether a package that is installed in a folder lists extensions.

    `importlib.metadata` would find out as well, but to import it and let it read what all packages
    say takes 40 ms, where this takes 2 ms for 100 packages.
    """
    try:
        listings = Path(folder).glob("*-info/entry_points.txt")
        return any(f"[{GROUP}]".encode() in file.read_bytes() for file in listings)
    except OSError:
        return False


def is_other(one: type, again: type) -> bool:
    """Whether two classes of one name are two things, and not one whose file was run again."""
    return (one.__module__, one.__qualname__) != (again.__module__, again.__qualname__)


def extensions_of(kinds: Iterable[type]) -> Iterator[Extension]:
    """The extensions that define some of these classes, each once."""
    found = (_home(kind.__module__) for kind in kinds) if LOADED else ()
    yield from dict.fromkeys(one for one in found if one)


def _home(module: str) -> Extension | None:
    """The extension that a module is, or is a part of."""
    while module not in LOADED and "." in module:
        module = module.rpartition(".")[0]
    return LOADED.get(module)


def _broken(name: str, error: BaseException) -> DiagnosticError:
    """What went wrong in an extension, at the last line of its own that was run."""
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, DiagnosticError):
        what = error.diagnostics[0].message
    lines = [
        (frame.filename, frame.lineno or 0)
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not Path(frame.filename).is_relative_to(_OURS)
    ]
    lines = [line for line in lines if Path(line[0]).is_relative_to(Path(lines[0][0]).parent)]
    if isinstance(error, SyntaxError):
        what = f"SyntaxError: {error.msg}"
        lines.append((error.filename or "", error.lineno or 0))
    return DiagnosticError.of(
        "PG701",
        f"the extension {quote(name, _LONGEST)} cannot be loaded: {' '.join(what.split())[:_LONGEST]}",
        _span(*lines[-1]) if lines else None,
    )


def _span(file: str, number: int) -> Span | None:
    """A line of a file, as messages show it."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    relative = os.path.relpath(file)
    source = Source(file if relative.startswith("..") else relative, text)
    line = source.lines[number - 1] if number <= len(source.lines) else ""
    return Span(source, number, len(line) - len(line.lstrip()) + 1, number, len(line.rstrip()) + 1)
