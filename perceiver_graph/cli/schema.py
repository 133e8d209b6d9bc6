"""`perceiver-graph schema`: the JSON Schema of the spec language, for editors and validators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceiver_graph.cli import files, screen
from perceiver_graph.cli.options import Debug, Extensions


def schema_command(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to a file instead of stdout."),
    ] = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Print the JSON Schema of the spec language."""
    from perceiver_graph.diagnostics.commands import shell
    from perceiver_graph.extensions import load_installed
    from perceiver_graph.spec.schema import schema_text

    load_installed()
    if output is None:
        screen.exactly(schema_text())
    else:
        # The one of a clone is printed into its file: it has no mark, and is compared as it stands.
        instead = (
            f"; in a clone of the project, {shell('make', 'schema')} renews `specs/schema.json`"
        )
        files.write_text(output, schema_text(), "json", instead)
        screen.say(output)
