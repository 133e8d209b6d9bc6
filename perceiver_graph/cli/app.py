"""The commands as one application. A command's module is imported when the command is used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from perceiver_graph.cli import faults, screen, streams, usage
from perceiver_graph.cli.options import Debug
from perceiver_graph.version import __version__

# pydantic would look through every installed package for plugins, which takes as long as a command.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")

PROGRAM = "perceiver-graph"
COMMANDS = (
    *("compile", "run", "batch", "serve", "import", "export"),
    *("check", "inspect", "diff", "graph", "explain", "schema", "new", "list"),
)
_SETTINGS: Any = {"add_completion": False, "rich_markup_mode": None}
_HELP = {"help_option_names": ["-h", "--help"]}


class Commands(TyperGroup):
    """The group of all commands: knows their names, and loads one when it is needed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update(dict.fromkeys(COMMANDS, cast(Any, None)))  # for help and suggestions

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in COMMANDS and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _load(cmd_name)
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        args = _as_options(args)
        words = [*args]
        try:
            return super().parse_args(ctx, args)
        except usage.ParserError as error:
            raise usage.explained(error, ctx, words) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise usage.no_command(ctx, args, COMMANDS)
        return super().resolve_command(ctx, args)


def _as_options(words: list[str]) -> list[str]:
    """`help`, `help COMMAND` and `version`, which people type as words, as the options that they are."""
    match words:
        case ["help"]:
            return ["--help"]
        case ["help", name]:
            return [name, "--help"]
        case ["version"]:
            return ["--version"]
    return words


def _load(name: str) -> Any:
    """The command that the module of this name holds in a function of the same name."""
    module = f"{name}_" if iskeyword(name) else name
    function = getattr(import_module(f"perceiver_graph.cli.{module}"), f"{name}_command")
    single = typer.Typer(**_SETTINGS)
    single.command(name, cls=usage.Command, context_settings=_HELP)(faults.guarded(function))
    return typer.main.get_command(single)


def _print_version(wanted: bool) -> None:
    if wanted:
        screen.say(f"{PROGRAM} {__version__}")
        raise typer.Exit()


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings=_HELP,
    epilog="SPEC: a YAML file, `-` for standard input, or the name of a shipped spec such as kinetics.",
    **_SETTINGS | {"add_completion": True},
)


@app.callback()
def perceiver_graph_command(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Debug = False,
) -> None:
    """Compile Perceiver models: a YAML spec in, a checked graph, ONNX or PyTorch out."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    faults.reset()
    with streams.notes(), streams.watched():
        try:
            ended = typer.main.get_command(app).main(
                args=None if arguments is None else list(arguments),
                prog_name=PROGRAM,
                standalone_mode=False,
            )
            code = ended or 0
        except usage.UsageError as error:
            return faults.wrong_usage(error)
        except usage.ParserError as error:  # no command was named
            if type(error).__name__ == "NoArgsIsHelpError":  # it has the help of all
                streams.say(f"{error.format_message()}\n")
                return faults.WRONG_USAGE
            return faults.wrong_usage(usage.no_word(COMMANDS))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except OSError as error:  # of help and version
            return faults.unwritten_help(error)
        return faults.after_output(code)
