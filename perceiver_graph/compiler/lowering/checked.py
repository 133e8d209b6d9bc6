"""A spec read and lowered in one go: sizes and references are checked although keys are wrong.

Otherwise a first spec takes a round for its keys, and another one for its sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError, Span
from perceiver_graph.spec.configurations import MEANINGS
from perceiver_graph.spec.elsewhere import folded, places_in
from perceiver_graph.spec.loader import AnySpec, Document, Rest, load_spec
from perceiver_graph.spec.models import Spec
from perceiver_graph.spec.spans import Path

_AFTER = {
    "layers": ("encode", "process", "decode", "outputs"),
    "latents": ("encode", "process", "decode", "outputs"),
    "encode": ("process", "decode", "outputs"),
    "process": ("decode", "outputs"),
    "decode": ("outputs",),
    "outputs": ("decode",),
}
"""What depends on each part of a spec. Inputs, dims and join are before everything."""


def lower_spec(spec: AnySpec, overrides: Sequence[str] = ()) -> Lowered:
    """As `load_spec`, then `lower`. Raises DiagnosticError with what is wrong for either."""
    try:
        document = load_spec(spec, overrides)
    except DiagnosticError as error:
        if not isinstance(error.rest, Rest):
            raise
        raise DiagnosticError([*error.diagnostics, *_more(error.rest)]) from None
    return lower(document)


def _more(rest: Rest) -> Iterator[Diagnostic]:
    """What is wrong with the rest, whatever the keys that were left out would have said."""
    try:
        lower(rest.document)
    except DiagnosticError as error:
        for one in error.diagnostics:
            if one.severity == "error" and not _follows(one, rest):
                yield one


def _follows(diagnostic: Diagnostic, rest: Rest) -> bool:
    """Whether it may come from a key that was left out: all that is certainly apart is not."""
    labels = [*([diagnostic.primary] if diagnostic.primary else []), *diagnostic.secondary]
    parts = [_part(label.span, rest.document) for label in labels]
    if rest.left_out and not labels:
        return True
    return any(_touches(path, part) for path in rest.left_out for part in parts)


def _touches(path: Path, part: Path) -> bool:
    """Whether a key may have to do with a part of the spec."""
    key = str(path[-1])
    known = [place.split(".")[0] for place in places_in(Spec, key)]
    if meaning := MEANINGS.get(folded(key)):
        known += [place[0] for place in meaning.places]
    heads = [*known, *([str(path[0])] if len(path) > 1 else [])]
    if not part or part[0] == "dims":
        return True
    for head in heads:
        if head in ("", "inputs", "join", "dims"):
            if part[0] != "inputs" or len(path) < 2 or path[0] != "inputs" or path[1] == part[1]:
                return True
        elif part[0] == head or part[0] in _AFTER.get(head, ()):
            return True
    return False


def _part(span: Span, document: Document) -> Path:
    """The part of a spec that a span lies in: `("inputs", "image")`, `("process",)`; () for none."""
    found: Path = ()
    for key, node in document.spans.root.children.items():
        inner = node.children.items() if key in ("inputs", "outputs") else ()
        for path, one in (((key,), node), *(((key, name), child) for name, child in inner)):
            begin = one.key or one.value
            if begin.source == span.source and _start(begin) <= _start(span) <= _end(one.value):
                found = path
    return found


def _start(span: Span) -> tuple[int, int]:
    return span.start_line, span.start_col


def _end(span: Span) -> tuple[int, int]:
    return span.end_line, span.end_col
