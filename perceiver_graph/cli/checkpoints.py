"""Checkpoints by name on command lines: what is a file or a folder here, and what a model of a hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceiver_graph.cli import screen, usage
from perceiver_graph.diagnostics import addresses
from perceiver_graph.diagnostics.commands import option
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.storage.files import is_here

if TYPE_CHECKING:
    from perceiver_graph.compiler.importing import Snapshot

Revision = Annotated[
    str | None,
    typer.Option(
        "--revision", metavar="NAME", help="Of a model of the hub: a branch, tag or commit [main]."
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Where models of the hub are kept [HF_HOME, ~/.cache/huggingface].",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token", metavar="TOKEN", help="Who asks the hub [HF_TOKEN, or who has logged in]."
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Ask no hub: take what was downloaded before.")
]


@dataclass(frozen=True)
class Hub:
    """How a hub is asked."""

    revision: str | None = None
    cache: Path | None = None
    token: str | None = None
    offline: bool = False

    @property
    def given(self) -> str | None:
        """An option that means a model of a hub."""
        named = {"--revision": self.revision, "--token": self.token, "--offline": self.offline}
        return next((flag for flag, value in named.items() if value), None)


def published(incomplete: str) -> list[str]:
    """For shell completion: the published checkpoints that begin like this."""
    from perceiver_graph.compiler.importing.classes import PUBLISHED

    return [name for name in PUBLISHED if name.startswith(incomplete)]


def find(text: str, hub: Hub, *, whatever: bool = False) -> Path | Snapshot:
    """What a word on a command line stands for: what is here goes before what a hub has.

    Raises DiagnosticError for a model that cannot be had.
    """
    from perceiver_graph.compiler.importing import hub as hubs
    from perceiver_graph.compiler.importing.classes import PUBLISHED

    if is_here(text):
        if hub.given:
            message = (
                f"`{hub.given}` is for models of a hub, and {quote(text)} is a file or folder here"
            )
            meant = f"; if the model is meant: {hubs.SCHEME}{text}" if hubs.is_name(text) else ""
            raise usage.wrong(message, f"leave it out{meant}")
        if text in PUBLISHED:
            screen.notes([f"{text} is a folder here, and was read: {_meant(text)}"])
        return Path(text)
    if told := addresses.instead(text, "import"):
        message = f"there is no file or folder {quote(text, 200)}"
        raise DiagnosticError.of("PG301", message, help=told)
    near = next((name for name in PUBLISHED if name.partition("/")[2] == text), None)
    if near and not hubs.is_name(text):
        message = f"there is no file or folder {quote(text)}"
        help = f"did you mean {quote(near)}, a model of the hub?"
        raise DiagnosticError.of("PG301", message, help=help)
    return hubs.find(
        text,
        revision=hub.revision,
        cache=hub.cache,
        token=hub.token,
        offline=hub.offline,
        whatever=whatever,
    )


@contextmanager
def also_named(text: str) -> Iterator[None]:
    """What is wrong with a folder here is told together with how the hub's model of its name is meant."""
    from perceiver_graph.compiler.importing import hub as hubs

    try:
        yield
    except DiagnosticError as error:
        if text.startswith(hubs.SCHEME) or not (is_here(text) and hubs.is_name(text)):
            raise
        raise error.with_note(_meant(text)) from None


def _meant(text: str) -> str:
    from perceiver_graph.compiler.importing.hub import SCHEME

    return f"for the hub's model of this name, write {option(SCHEME + text)}"
