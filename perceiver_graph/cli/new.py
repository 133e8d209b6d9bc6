"""`perceiver-graph new`: a spec to start from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from perceiver_graph.cli import files, screen
from perceiver_graph.cli.options import Debug
from perceiver_graph.diagnostics import escape

STARTER = Path(__file__).with_name("starter.yaml")
_LINE = "# yaml-language-server: $schema="
_HOW = "# Completion in editors:"
_LINES = re.compile(rf"^(?:{_HOW}|{re.escape(_LINE)}(?!https?:)).*\n", re.MULTILINE)
_LARGEST = 2**22  # bytes of a file that may be the schema


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
    name = name.removesuffix(".yaml").removesuffix(".yml")
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
    # The schema that the first line of another spec names does not lie beside the copy.
    text = _LINES.sub("", "".join(lines), count=1)
    return text if text.startswith(_LINE) else _first_line(Path.cwd()) + text


def _first_line(folder: Path) -> str:
    """What tells editors with the YAML language server where the schema is, or who reads it how to get it.

    A spec goes to other machines, so that it names no path of this one: the schema lies beside it, or in
    the repository that it is in, there or in its folder `specs`.
    """
    around = [folder, *folder.parents]
    root = next((place for place, one in enumerate(around) if (one / ".git").exists()), 0)
    for up, one in enumerate(around[: root + 1]):
        for name in ("schema.json", "specs/schema.json"):
            if _is_schema(one / name):
                return f"{_LINE}{'../' * up}{name}\n"
    return f"{_HOW} `perceiver-graph schema -o schema.json` and a first line `{_LINE}schema.json`\n"


def _is_schema(path: Path) -> bool:
    """Whether a file is the schema of specs, and not one of the user's."""
    from perceiver_graph.spec.schema import TITLE

    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return False
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("title") == TITLE


def _is_word(name: str) -> bool:
    return name.lower() in {"null", "true", "false"}
