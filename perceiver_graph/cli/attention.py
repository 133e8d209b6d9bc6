"""`run --attention`: what latents and outputs read, drawn beside the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceiver_graph.cli import screen, usage
from perceiver_graph.diagnostics.commands import option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perceiver_graph.media.io import Piece
    from perceiver_graph.runtime.program import Program
    from perceiver_graph.runtime.work import FileResult

Folder = Annotated[
    Path | None,
    typer.Option(
        "--attention",
        metavar="DIR",
        help="Write what latents read of the inputs, and outputs of the latents, to this folder, too: "
        "as pictures and as arrays. `compile --attention` makes programs that can tell.",
    ),
]
Heads = Annotated[
    bool,
    typer.Option("--heads", help="Of --attention: arrays head by head, not the mean of them."),
]
_OWN = "give it a folder of its own: "


def check_usage(folder: Path | None, heads: bool, output: Path | None) -> None:
    """Refuse what does not go together."""
    if folder is None:
        if heads:
            message = "`--heads` says how attention is written, and none is asked for"
            raise usage.wrong(message, f"leave it out, or add {option('--attention', 'DIR')}")
        return
    if output is not None and folder.resolve() == output.resolve():
        message = "`--attention` and `-o` name the same folder, and files of both are called alike"
        raise usage.wrong(message, _OWN + option("--attention", folder.with_name("seen")))


def looking(
    program: Program,
    folder: Path | None,
    heads: bool,
    request: Mapping[str, Any] | None,
    sizes: Mapping[str, int],
) -> Looking | None:
    """What writes it, if it is asked for. Raises DiagnosticError (PG509, PG523) before any work."""
    return None if folder is None else Looking(program, folder, heads, request, sizes)


class Looking:
    """Writes the attention of subject after subject, the first piece of each."""

    def __init__(
        self,
        program: Program,
        folder: Path,
        heads: bool,
        request: Mapping[str, Any] | None,
        sizes: Mapping[str, int],
    ) -> None:
        from perceiver_graph.media.files.packages import require
        from perceiver_graph.runtime.attention import require_attention

        shown = require_attention(program.manifest, program.artifact.directory)
        require("PIL")
        self._program, self._folder = program, folder
        self._settings: dict[str, Any] = {"heads": heads, "sizes": sizes}
        if request is not None:
            asked = {name: some for name, some in request.items() if f"decode.{name}" in shown}
            self._settings["decode"] = asked
        self._told: list[Callable[[], None]] = []

    def arrays(self, given: Mapping[str, NDArray[Any]], stem: str) -> None:
        """Of arrays, the first of a batch in the pictures."""
        self._look(given, stem, self._program.manifest.name, ())

    def subject(self, stem: str, piece: Piece, result: FileResult, more: Mapping[str, Any]) -> None:
        """Of a subject that has been run on."""
        lines = [f"{name}: {answer.line}" for name, answer in result.answers.items() if answer.line]
        if result.pieces > 1:
            lines.append(f"the first of {result.pieces} pieces")
        self._look({**piece.arrays, **more}, stem, result.title or stem, lines)

    def _look(self, given: Any, stem: str, title: str, lines: Any) -> None:
        from perceiver_graph.looking.files import look

        found = look(
            self._program, given, self._folder, stem, title=title, lines=lines, **self._settings
        )
        self._told.append(lambda: _tell(found))

    def tell(self) -> None:
        """Say what was written."""
        for told in self._told:
            told()


def _tell(found: Any) -> None:
    for path in found.files:
        screen.say(path)
    for line in found.lines:
        screen.say(f"  {line}")
    screen.notes(found.notes)
