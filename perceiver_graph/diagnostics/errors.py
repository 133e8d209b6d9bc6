"""Diagnostics on their way: collected in a `Report`, raised as a `DiagnosticError`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Unpack

from perceiver_graph.diagnostics.model import Details, Diagnostic, Span, make
from perceiver_graph.diagnostics.render import render


class DiagnosticError(Exception):
    """What the package raises when the user's input is wrong; carries every diagnostic that was found."""

    diagnostics: tuple[Diagnostic, ...]
    rest: object = None
    """What can be looked at further although this is wrong, of a spec that has unknown keys alone."""

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        found = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        super().__init__(found)
        self.diagnostics = found

    @classmethod
    def of(
        cls, code: str, message: str, span: Span | None = None, **details: Unpack[Details]
    ) -> DiagnosticError:
        """An error with a single diagnostic: `raise DiagnosticError.of("PG501", "input `image` is
        missing")`."""
        return cls(make(code, message, span, **details))

    def with_note(self, note: str) -> DiagnosticError:
        """The same with one more note on the first of them."""
        first, *others = self.diagnostics
        return DiagnosticError([replace(first, notes=(*first.notes, note)), *others])

    def __str__(self) -> str:
        """All of it, as `check` prints it."""
        return render(self.diagnostics).rstrip("\n")


class Report:
    """Collects diagnostics, so that one run shows every problem. The same problem is kept once."""

    def __init__(self, diagnostics: Iterable[Diagnostic] = ()) -> None:
        self._found: dict[Diagnostic, None] = dict.fromkeys(diagnostics)

    def add(self, diagnostic: Diagnostic) -> None:
        self._found.setdefault(diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def error(
        self, code: str, message: str, span: Span | None = None, **details: Unpack[Details]
    ) -> None:
        self.add(make(code, message, span, **details))

    def warning(
        self, code: str, message: str, span: Span | None = None, **details: Unpack[Details]
    ) -> None:
        self.add(make(code, message, span, severity="warning", **details))

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What was found, from the top of the file to its end; diagnostics without a place come first."""
        return tuple(
            sorted(self._found, key=lambda d: d.primary.span.order if d.primary else ("", 0, 0))
        )

    @property
    def has_errors(self) -> bool:
        return any(d.severity == "error" for d in self._found)

    def raise_if_errors(self) -> None:
        """Raise DiagnosticError with everything collected (warnings too) if there is an error among it."""
        if self.has_errors:
            raise DiagnosticError(self.diagnostics)
