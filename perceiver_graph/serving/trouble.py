"""Errors that are the server's own: who asked learns that there was one, and who runs it, of what kind."""

from __future__ import annotations

from collections.abc import Callable
from traceback import extract_tb

from perceiver_graph.diagnostics import DiagnosticError

ANSWER = "the server failed: this is no fault of the request"


class Trouble:
    """Tells of errors without what is in them, which may come from a request."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def told(self, error: BaseException) -> str:
        """What is answered; the kind of the error and its place are told to who runs the server."""
        codes = ""
        if isinstance(error, DiagnosticError):
            codes = f" {', '.join(one.code for one in error.diagnostics)}"
        frames = extract_tb(error.__traceback__)
        place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        self._say(f"internal error: {type(error).__name__}{codes}{place}")
        return ANSWER
