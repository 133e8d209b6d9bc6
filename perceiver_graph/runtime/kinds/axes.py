"""The axes of an input or output, as a kind of media needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.manifest import Dimension, InputEntry, OutputEntry

Entry = InputEntry | OutputEntry


def require_sizes(name: str, entry: Entry, wanted: Sequence[str]) -> dict[str, int]:
    """The sizes of the axes, batch left out, which must be those wanted, of fixed size.

    Raises DiagnosticError (PG403).
    """
    sizes = dict(zip(entry.axes[1:], entry.shape[1:], strict=True))
    fixed = {axis: size for axis, size in sizes.items() if isinstance(size, int)}
    if set(fixed) != set(wanted) or len(sizes) != len(wanted):
        raise _bad(name, entry, f"the axes {', '.join(wanted)} with fixed sizes")
    return fixed


def require_count(name: str, entry: Entry, count: int) -> list[int | str]:
    """The sizes of an entry that has so many axes besides batch. Raises DiagnosticError (PG403)."""
    if len(entry.shape) != count + 1:
        raise _bad(name, entry, f"{count} axes" if count > 1 else "one axis")
    return entry.shape[1:]


def length_of(size: int | str, dims: Mapping[str, Dimension]) -> Dimension:
    """What values a size may take."""
    return Dimension(min=size, max=size) if isinstance(size, int) else dims[size]


def rows_of(entry: Entry, axes: Sequence[str]) -> list[int]:
    """How an array with `axes` is transposed to have those of the entry, batch left out."""
    return [list(axes).index(axis) for axis in entry.axes[1:]]


def _bad(name: str, entry: Entry, wanted: str) -> DiagnosticError:
    pairs = zip(entry.axes[1:], entry.shape[1:], strict=True)
    have = ", ".join(f"{axis} {size}" for axis, size in pairs) or "none"
    kind = next(iter(type(entry.media).model_fields)) if entry.media else "media"
    return DiagnosticError.of(
        "PG403",
        f"`{name}` is declared as media of the kind `{kind}`, which needs {wanted}, and has {have}",
        help="change its `media` or its shape in the spec and compile again",
    )
