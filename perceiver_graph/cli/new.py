"""`perceiver-graph new`: a spec to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from perceiver_graph.cli import files, screen
from perceiver_graph.cli.options import Debug
from perceiver_graph.diagnostics import escape

STARTER = Path(__file__).with_name("starter.yaml")
_MODELINE = re.compile(r"# yaml-language-server:.*\n")


def new_command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What the model is called; the file is NAME.yaml.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="SPEC", help="Copy a spec, comments included, and rename it."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a spec to start from: NAME.yaml in this folder. Never overwrites."""
    from perceiver_graph.spec.model_names import require_model_name

    require_model_name(name, "give a name without a folder, for example `my_model`")
    name = name.removesuffix(".yaml")
    path = Path(f"{name}.yaml")
    text = renamed(str(STARTER) if source is None else source, name)
    files.create_text(path, text)
    screen.say(path)
    word = escape.shell_path(path)
    screen.next_step(f"perceiver-graph inspect {word}", f"perceiver-graph compile {word}")


def renamed(source: str, name: str) -> str:
    """The text of a spec under another name. Raises DiagnosticError for a spec that is wrong."""
    from perceiver_graph.spec.loader import load_spec

    document = load_spec(source)
    span = document.span("name")
    lines = document.source.text.splitlines(keepends=True)
    line = lines[span.start_line - 1]
    # `1e3` or `null` would be no text without quotes.
    written = (
        name if re.fullmatch(r"[A-Za-z][A-Za-z_]*\d*", name) and not _is_word(name) else f'"{name}"'
    )
    lines[span.start_line - 1] = line[: span.start_col - 1] + written + line[span.end_col - 1 :]
    # The schema that the first line of a shipped spec names does not lie beside the copy.
    return _modeline() + _MODELINE.sub("", "".join(lines), count=1)


def _modeline() -> str:
    """What tells editors with the YAML language server where the schema is."""
    from perceiver_graph.spec.loader import SHIPPED

    return f"# yaml-language-server: $schema={(SHIPPED / 'schema.json').resolve().as_uri()}\n"


def _is_word(name: str) -> bool:
    return name.lower() in {"null", "true", "false"}
