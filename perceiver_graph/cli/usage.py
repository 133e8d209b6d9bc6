"""Wrong usage in words of our own: what is wrong, what would work, and where all of it is listed.

What a value may be is read from the declarations of the commands, so that each is said in one place.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from perceiver_graph.cli import choices, split, verbs
from perceiver_graph.cli.given import archive_of, without_option
from perceiver_graph.cli.theirs import called_otherwise
from perceiver_graph.diagnostics.commands import command, option, shell
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import make
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import choice, closest, did_you_mean, joined, question
from perceiver_graph.storage.files import is_here

# typer brings a click of its own, or uses the one that is installed: this is the class of either.
ParserError: Any = typer.BadParameter.__mro__[1]


class UsageError(DiagnosticError):
    """The command line is wrong, not what it names: exit code 2."""


def wrong(message: str, help: str | None = None, notes: Sequence[str] = ()) -> UsageError:
    """The error to raise where the words of a command line do not go together (PG620)."""
    return UsageError(make("PG620", message, notes=notes, help=help))


class Command(TyperCommand):
    """A command that says in words of our own what is wrong with its arguments."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = [*args]
        ctx.allow_extra_args = True  # they are told below
        if not ctx.resilient_parsing:
            _refuse_pieces(ctx, words)
        try:
            rest = super().parse_args(ctx, args)
        except ParserError as error:
            raise explained(error, ctx, words) from None
        if not ctx.resilient_parsing:
            _refuse_slips(ctx, words)
            if rest:
                raise _too_many(ctx, rest[0], words)
        return rest


def explained(error: Any, ctx: Any, words: Sequence[str]) -> Exception:
    """The error to raise for what the parser of a command, or of all commands, says of its words."""
    kind, param = type(error).__name__, cast(Any, getattr(error, "param", None))
    if kind == "NoSuchOption":
        return _no_option(ctx, error.option_name, words)
    if kind == "BadOptionUsage":
        return _with_or_without_value(ctx, error.option_name)
    if kind == "MissingParameter":
        name = param.metavar
        article = "an" if name[0] in "AEIOU" else "a"
        arguments = filter(_is_argument, ctx.command.params)
        needed = [one.metavar for one in arguments if one.required or one.nargs == 1]
        whole = [*words, name] if words else needed
        help = f"write {command(*_path(ctx), *whole)}; {_manual(ctx)} says more"
        return wrong(f"{_called(ctx)} needs {article} {name}", help, _about(param))
    if kind == "BadParameter" and param is not None:
        _refuse_slips(ctx, words)
        return _bad_value(ctx, param, words)
    if kind == "NoArgsIsHelpError":  # it has the help, which is printed
        return error  # type: ignore[no-any-return]
    return wrong(error.format_message(), _manual(ctx))


def no_command(ctx: Any, words: Sequence[str], known: Sequence[str]) -> UsageError:
    """There is no command of the name that comes first."""
    from perceiver_graph.spec.loader import shipped_names

    word, *after = words
    told = verbs.called_otherwise(word, after)
    hint = told or did_you_mean(word, known) or f"commands are {joined(known, 'and')};"
    if word in shipped_names() or Path(word).suffix in {".yaml", ".yml"}:
        hint = f"a command comes first: {command('inspect', Path(word))};"
    return wrong(f"there is no command {quote(word)}", f"{hint} {_manual(ctx)} says what each does")


def no_word(known: Sequence[str]) -> UsageError:
    """There are options, and no command."""
    help = f"commands are {joined(known, 'and')}; {command('--help')} says what each does"
    return wrong("no command is named", help)


def _no_option(ctx: Any, name: str, words: Sequence[str]) -> UsageError:
    if name[:2] != "--":  # `-backend` was read as `-b -a -c ...`
        name = next((word for word in words if word.startswith(name)), name)
    if moved := _after_command(ctx, name, words):
        return wrong(f"options of a command come after it, and {quote(name)} is before", moved)
    if told := without_option(ctx, name, words) or called_otherwise(ctx, name, words):
        return wrong(
            f"{_called(ctx)} has no option {quote(name)}", f"{told}; {_manual(ctx)} says more"
        )
    if chosen := _choice_called(ctx, name):
        return wrong(f"{_called(ctx)} has no option {quote(name)}", f"it is {chosen}")
    long = len(name) > 2  # of single letters, none is like another
    bare = {flag.lstrip("-"): flag for flag in _flags(ctx.command) if flag[:2] == "--"}
    meant = closest(name.lstrip("-"), bare) if long else ()  # what all begin with makes none alike
    near = question(bare[one] for one in meant)
    if near is None:
        owners = [other for other, flags in _others(ctx) if name in flags]
        near = f"it is an option of {joined(map(quote, owners), 'and')};" if owners else ""
    help = f"{near} {_manual(ctx)} lists all options".strip()
    return wrong(f"{_called(ctx)} has no option {quote(name)}", help)


def _choice_called(ctx: Any, name: str) -> str | None:
    """The option of which a value was given as an option: `--html` for `--format html`."""
    word = name.lstrip("-")
    for param in ctx.command.params if ctx.parent is not None else ():
        listed = not _is_argument(param) and param.expose_value and param.metavar is None
        if listed and word in get_args(_declared(ctx, param)[0]):
            return option(param.opts[0], word)
    return None


def _after_command(ctx: Any, name: str, words: Sequence[str]) -> str | None:
    """The command line with an option of a command behind it, for one that was written before."""
    if ctx.parent is not None:
        return None
    for place, word in enumerate(words):
        if word in ctx.command.commands and place:
            rest = [*words[place + 1 :], *words[:place]]
            inner = ctx.command.get_command(ctx, word)
            return f"write {command(word, *rest)}" if name in _flags(inner) else None
    return None


def _with_or_without_value(ctx: Any, flag: str) -> UsageError:
    param = _param(ctx, flag)
    if getattr(param, "is_flag", True):
        return wrong(f"{quote(flag)} takes no value", f"write {option(flag)} alone", _about(param))
    help = f"write {option(flag, _example(ctx, param))}; {_manual(ctx)} says more"
    return wrong(f"{quote(flag)} needs a value", help, _about(param))


def _bad_value(ctx: Any, param: Any, words: Sequence[str]) -> UsageError:
    """A value that is none of the choices, no number, or out of range."""
    given = ctx.command.make_parser(ctx).parse_args(args=[*words])[0].get(param.name)
    kind, limits = _declared(ctx, param)
    if kind is Path:  # the parser looks at nothing else of a path
        path = next(iter(given)) if isinstance(given, list) else given
        return wrong(
            f"{path} may not be read", f"check its permissions: {shell('ls', '-ld', path)}"
        )
    flag = next((flag for flag in param.opts if flag in words), param.opts[-1])
    allowed = get_args(kind)
    help = choices.called_otherwise(ctx, param, flag, str(given), words)
    help = help or question(f"{flag} {one}" for one in choice(given, allowed))
    help = help or f"write {option(flag, _example(ctx, param, given))};"
    message = f"{quote(flag)} takes {_wanted(kind, limits)}, not {quote(given)}"
    return wrong(message, f"{help} {_manual(ctx)} says more", _about(param))


def _too_many(ctx: Any, word: str, words: Sequence[str]) -> UsageError:
    arguments = [param for param in ctx.command.params if _is_argument(param)]
    names = [param.metavar for param in arguments]
    takes = f"takes {' and '.join(names)} and no more" if names else "takes no arguments"
    help = f"{_manual(ctx)} says what it takes"
    if found := split.as_settings(ctx, words):
        bare, whole = found
        help = f"did you mean {option('--set', bare)}? {command(ctx.info_name, *whole)}"
    elif not names and (is_here(word) or word in _shipped()):
        help = f"a spec is shown by {command('inspect', Path(word))}; {help}"
    elif ctx.info_name == "new":
        name = "_".join(one for one in words if one[:1] != "-")
        help = f"a name has no spaces: {command('new', name)}; {help}"
    elif is_here(word) and len(arguments) == 1:
        first = ctx.params.get(arguments[0].name, names[0])
        one, other = (command(ctx.info_name, Path(path)) for path in (first, word))
        help = f"one at a time: {one}, then {other}; {help}"
    return wrong(f"{_called(ctx)} {takes}: {quote(word)} is too much", help)


def _shipped() -> Sequence[str]:
    from perceiver_graph.spec.loader import shipped_names

    return shipped_names()


def _refuse_pieces(ctx: Any, words: Sequence[str]) -> None:
    """Values that the shell has split, settings without `--set`, files where archives are wanted."""
    if found := split.mended(ctx, words):
        message = f"the shell has made several words of {quote(found.value)}"
        how = "put it in quotes" if " " in found.value else "write it without spaces"
        told = f"{how}: {command(*_path(ctx), *found.words)}"
        if entries := split.one_by_one(found.value):
            alone = " ".join(f"--set {one}" for one in entries)
            told += f"; {option(*alone.split())} leaves the other keys as they are"
        raise wrong(message, told)
    several = ctx.info_name in ("check", "diff")  # they would take it for a spec
    if several and (settings := split.as_settings(ctx, words)):
        bare, whole = settings
        raise wrong(
            f"{quote(bare)} is no spec",
            f"did you mean {option('--set', bare)}? {command(ctx.info_name, *whole)}",
        )
    if archive := archive_of(ctx, words):
        raise wrong(*archive)


def _refuse_slips(ctx: Any, words: Sequence[str]) -> None:
    """Options that the parser took for values: `-o=x` is no `-o x`, and in `--weights -o x` one lacks."""
    given, _, order = ctx.command.make_parser(ctx).parse_args(args=[*words])
    _refuse_twice(ctx, order)
    for param in ctx.command.params:
        if _is_argument(param) or getattr(param, "is_flag", False):
            continue
        values = given.get(param.name) or ()
        for value in [values] if isinstance(values, str) else values:
            short = next((flag for flag in param.opts if flag[:2] != "--"), None)
            if short and f"{short}{value}" in words and value.startswith("="):
                message = f"{quote(short)} and its value are two words, not {quote(short + value)}"
                raise wrong(message, f"write {option(short, value[1:])}")
            if value == "-" and "-o" in param.opts:
                message = "`-o` names what is written, and standard output (`-`) is not"
                raise wrong(message, f"name a place: {option('-o', param.metavar)}", _about(param))
            if value in _flags(ctx.command):
                flag = next((flag for flag in param.opts if flag in words), param.opts[0])
                raise _with_or_without_value(ctx, flag)


_ALL_COUNT = ("--inputs", "--weights", "--calibrate")
"""Options whose value is data: of settings that are given twice the last holds, as everywhere."""


def _refuse_twice(ctx: Any, order: Sequence[Any]) -> None:
    """Data that would be left out, since the parser takes the last."""
    for param in order:
        flag = next((flag for flag in param.opts if flag in _ALL_COUNT), None)
        if flag is not None and not param.multiple and order.count(param) > 1:
            help = f"give it once; {_manual(ctx)} says more"
            if flag == "--inputs":
                help = "an archive holds the arrays of several inputs, and INPUT=FILE.npy gives one more"
            raise wrong(f"{quote(flag)} is given {order.count(param)} times, and is one", help)


def _declared(ctx: Any, param: Any) -> tuple[Any, Any]:
    """The type of a value as the command declares it, and what holds its limits."""
    function = inspect.unwrap(ctx.command.callback)
    hint = get_type_hints(function, include_extras=True)[param.name]
    kind, limits = get_args(hint)[:2]
    if get_origin(kind) is not Literal and type(None) in get_args(kind):
        kind = next(one for one in get_args(kind) if one is not type(None))
    return get_args(kind)[0] if get_origin(kind) is list else kind, limits


def _wanted(kind: Any, limits: Any) -> str:
    if choices := get_args(kind):
        return joined(map(quote, choices), "or")
    what = "a whole number" if kind is int else "a number"
    if limits.max is not None:
        return f"{what} from {limits.min} to {limits.max}"
    return what if limits.min is None else f"{what} of at least {limits.min}"


_NOTHING = ("generate",)
"""Options whose least value does nothing."""


def _example(ctx: Any, param: Any, given: object = None) -> str:
    """A value that works: the nearest to a number that was given, else one of the choices or the name."""
    kind, limits = _declared(ctx, param)
    if choices := get_args(kind):
        return str(choices[0])
    try:
        number = kind(given)
        nearest = limits.min if limits.min is not None and number < limits.min else limits.max
    except (TypeError, ValueError):
        nearest = param.default
        if nearest is None and kind is int:  # a number that is taken
            nearest = limits.max if limits.max is not None and limits.max < 10 else limits.min
            nearest = param.metavar if nearest == 0 and param.name in _NOTHING else nearest
    return str(param.metavar if nearest is None else nearest)


def _about(param: Any) -> list[str]:
    return [param.help] if getattr(param, "help", None) else []


def _param(ctx: Any, flag: str) -> Any:
    return next((param for param in ctx.command.get_params(ctx) if flag in param.opts), None)


def _flags(of: Any) -> list[str]:
    return [flag for param in of.params if not _is_argument(param) for flag in param.opts]


def _others(ctx: Any) -> Iterator[tuple[str, list[str]]]:
    """The other commands with their options."""
    group = ctx.command if ctx.parent is None else ctx.parent.command
    for name in group.commands:
        yield name, _flags(group.get_command(ctx, name))


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _path(ctx: Any) -> list[str]:
    return [] if ctx.parent is None else [ctx.info_name]


def _called(ctx: Any) -> str:
    return quote(ctx.info_name)


def _manual(ctx: Any) -> str:
    return command(*_path(ctx), "--help")
