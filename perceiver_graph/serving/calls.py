"""What a request asks of a program, and what is answered where it cannot be done."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, make, quote
from perceiver_graph.diagnostics.commands import option
from perceiver_graph.diagnostics.full import render_full
from perceiver_graph.runtime.queries import parse_decode
from perceiver_graph.serving.tensors import Tensor, wrong

Arrays = dict[str, NDArray[Any]]
SIZE, QUERIES = "size.", "queries"
"""Parameters of a request and of an output that it asks for: `size.NAME` is how large a symbol is that
no input says, `queries` are START:STOP of them."""
_RANGE = re.compile(r"\s*([0-9]+\s*:\s*[0-9]*|:\s*[0-9]+)\s*")
STATE, NOTES = "state", "notes"
"""Parameters of an answer; the first, of a request too."""


@dataclass(frozen=True)
class Call:
    """Arrays by input, the outputs that are asked for (None: all), and sizes that no input says."""

    arrays: Arrays
    decode: Mapping[str, slice | None] | None = None
    sizes: Mapping[str, Any] | None = None
    state: str | None = None
    """The handle of what was encoded before."""
    notes: tuple[str, ...] = ()
    """What the caller should know of how it was read."""

    def likeness(self) -> Hashable:
        """What is equal for calls that can be one: all but the batch."""
        asked = self.decode.items() if self.decode is not None else ()
        return (
            tuple(sorted((n, a.shape[1:], a.dtype.str) for n, a in self.arrays.items())),
            tuple(sorted((n, s and (s.start, s.stop)) for n, s in asked)) or None,
            tuple(sorted((self.sizes or {}).items())),
        )


@dataclass(frozen=True)
class Answer:
    """Arrays by output, and what the caller should know of them."""

    arrays: Arrays
    notes: tuple[str, ...] = ()
    state: str | None = None
    """The handle of what was encoded."""

    @property
    def parameters(self) -> dict[str, str]:
        """What the answer says beside its arrays."""
        notes = {NOTES: "\n".join(self.notes)} if self.notes else {}
        return notes if self.state is None else {STATE: self.state, **notes}


@dataclass(frozen=True)
class Wanted:
    """An output that a request asks for."""

    name: str
    parameters: Mapping[str, Any]


class RefusalError(DiagnosticError):
    """What a server does not do, and the status of HTTP that says why."""

    def __init__(self, status: int, code: str, message: str, help: str | None = None) -> None:
        super().__init__(make(code, message, help=help))
        self.status = status


def unknown_model(name: str, known: Iterable[str]) -> RefusalError:
    """The answer for a model that is not served."""
    help = f"the models are {', '.join(map(quote, known))}"
    return RefusalError(404, "PG532", f"no model {quote(name)} is served", help)


def no_state() -> RefusalError:
    """The answer for a handle that stands for nothing."""
    help = "encode again: states are given up when they are not used, and when there are too many"
    return RefusalError(404, "PG534", "there is no such state", help)


def too_large(limit: int) -> RefusalError:
    """The answer for a request of more bytes than the server takes."""
    help = f"send less at a time; the server says how much: {option('--max-request-bytes', 'SIZE')}"
    return RefusalError(413, "PG533", f"the request has more than {limit:,} bytes", help)


def busy(limit: int) -> RefusalError:
    """The answer where too many wait."""
    return RefusalError(503, "PG533", f"{limit} requests are waiting already", "try again later")


def too_long(seconds: float) -> RefusalError:
    """The answer where nothing has come in time."""
    help = f"ask for less at a time; the server says how long: {option('--timeout', 'SECONDS')}"
    return RefusalError(504, "PG533", f"there was no answer within {seconds:g} seconds", help)


def status_of(error: DiagnosticError) -> int:
    """The status of HTTP: whose fault it is."""
    if isinstance(error, RefusalError):
        return error.status
    codes = [one.code for one in error.diagnostics]
    if "PG603" in codes:  # memory ran out, or would
        return 413
    return 400 if all(code.startswith("PG5") for code in codes) else 500


def text_of(error: DiagnosticError) -> str:
    """All diagnostics as they are printed."""
    return "\n".join(render_full(one).rstrip("\n") for one in error.diagnostics)


def call_of(
    tensors: Sequence[Tensor], parameters: Mapping[str, Any], outputs: Sequence[Wanted]
) -> Call:
    """What a request asks for. Raises DiagnosticError (PG506, PG531)."""
    arrays: Arrays = {}
    for tensor in tensors:
        if not isinstance(tensor.name, str):
            raise wrong("an input has no name")
        if tensor.name in arrays:
            raise wrong(f"input {quote(tensor.name)} is given twice")
        arrays[tensor.name] = tensor.array()
    sizes = {
        key.removeprefix(SIZE): value for key, value in parameters.items() if key.startswith(SIZE)
    }
    state = parameters.get(STATE)
    if state is not None and not isinstance(state, str):
        raise wrong(f"the parameter `{STATE}` is no text")
    return Call(arrays, _decode(outputs), sizes or None, state)


def _decode(outputs: Sequence[Wanted]) -> dict[str, slice | None] | None:
    texts = []
    for one in outputs:
        queries = one.parameters.get(QUERIES)
        if queries is not None and not _RANGE.fullmatch(str(queries)):
            raise wrong(
                f"the `{QUERIES}` of output {quote(one.name)} are {quote(str(queries))}",
                f'give a range of them, "{QUERIES}": "0:1000"',
            )
        texts.append(one.name if queries is None else f"{one.name}={queries}")
    return parse_decode(texts)
