"""Which arrays a kind of media can fill, and which can be written as one: what many kinds ask.

The compiler refuses a spec and the runtime an artifact by the same checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydantic import ValidationError

from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import joined, nearest
from perceiver_graph.media.base import (
    CHANNEL,
    Check,
    InputMedia,
    Mismatch,
    OutputMedia,
    Part,
    Signature,
    mismatch,
)
from perceiver_graph.media.equal import given_twice, told_apart
from perceiver_graph.spec.arithmetic import words

VIDEO_AXES = ("time", "height", "width", CHANNEL)
IMAGE_AXES = ("height", "width", CHANNEL)
PER_TOKEN = "ask one query for each token"


def axes(*wanted: str) -> Check:
    """These axes in any order, of fixed sizes."""

    def check(part: Part, signature: Signature) -> Mismatch | None:
        needs = f"the axes {', '.join(wanted)} with fixed sizes"
        if set(part.sizes) != set(wanted):
            return _needs(part, needs, _renamed(part.sizes, wanted) or "give it these axes")
        unknown = [axis for axis, size in part.sizes.items() if not isinstance(size, int)]
        if not unknown:
            return None
        return _needs(part, needs, f"write a number for `{unknown[0]}`", unknown[0])

    return check


def _renamed(have: Iterable[str], wanted: Iterable[str]) -> str | None:
    """What to do where axes have nearly the names that are wanted; None where that is not all."""
    have, wanted = dict.fromkeys(have), dict.fromkeys(wanted)
    others = [axis for axis in have if axis not in wanted]
    lacking = [axis for axis in wanted if axis not in have]
    meant = {axis: nearest(axis, lacking) for axis in others}
    if not others or {*meant.values()} != {*lacking} or len(others) != len(lacking):
        return None
    return (
        f"write {joined((f'{quote(to)} for {quote(axis)}' for axis, to in meant.items()), 'and')}"
    )


def rank(count: int, remedy: str) -> Check:
    """So many axes, channel included."""

    def check(part: Part, signature: Signature) -> Mismatch | None:
        fits = len(part.sizes) == count
        return None if fits else _needs(part, f"{count} axes" if count > 1 else "one axis", remedy)

    return check


def _needs(part: Part, wanted: str, remedy: str, axis: str = "") -> Mismatch:
    have = ", ".join(f"{axis} {size}" for axis, size in part.sizes.items()) or "none"
    return Mismatch(
        f"`{part.name}` is declared as media of the kind `{part.kind}`, which needs {wanted}, "
        f"and has {have}",
        remedy,
        part.place(axis),
    )


def channels(wanted: int, why: str) -> Check:
    """So many channels."""

    def check(part: Part, signature: Signature) -> Mismatch | None:
        have = part.sizes.get(CHANNEL, part.channels)
        if have == wanted:
            return None
        fault = f"`{part.name}` has {counted(have, 'channel')}, and {why}"
        return Mismatch(fault, f"give it {counted(wanted, 'channel')}", part.place(CHANNEL))

    return check


def counted(size: int | str, noun: str) -> str:
    """`1 channel`, `2 channels`, `n channels`."""
    return f"{size} {noun}" if size == 1 else f"{size} {noun}s"


def no_ids(part: Part, signature: Signature) -> Mismatch | None:
    """Real numbers: ids have no media of their own but texts."""
    if part.dtype == "float32":
        return None
    several = part.sizes.get(CHANNEL)
    columns = f"{(*range(several),)}, ndmin=2" if isinstance(several, int) else "0"
    read = f"numpy.loadtxt('TABLE.csv', int, delimiter=',', skiprows=1, usecols={columns})"
    return Mismatch(
        f"`{part.name}` holds ids, and media of the kind `{part.kind}` are real numbers",
        f"leave `media` out, and give the ids as an array, "
        f"{command('run', 'ARTIFACT', f'{part.name}=IDS.npy')}; of a table: `numpy.save('IDS.npy', {read})`",
        part.place(),
        whole=True,
    )


def rows(part: Part, signature: Signature) -> Mismatch | None:
    """Real numbers, so many in a row."""
    if isinstance(part.channels, int) and part.dtype == "float32":
        return None
    fault = f"`{part.name}` needs real numbers with a fixed number of channels, last"
    return Mismatch(fault, "begin with real numbers, `channel` last", part.place())


def one_length(part: Part, signature: Signature) -> Mismatch | None:
    """The length of a file says one symbol."""
    axis, size = next(iter(part.sizes.items()))
    symbols = words(size) if isinstance(size, str) else []
    if len(symbols) < 2:
        return None
    fault = f"the length of a file does not say what {' and '.join(map(quote, symbols))} of "
    return Mismatch(f"{fault}`{part.name}` are", "write one symbol", part.place(axis))


def about_tokens(part: Part, signature: Signature) -> Mismatch | None:
    """One answer for each token of a text that is read."""
    have, *_ = part.sizes.values()
    lengths = [size for one in signature.read_as("text") for size in one.sizes.values()]
    if have in lengths:
        return None
    if not lengths:
        return Mismatch(
            f"`{part.name}` has a label for each token of a text, and the model reads no text",
            "add an input with `media: {text: {}}` to ask about",
            part.place(),
        )
    known = " or ".join(map(str, lengths))
    return Mismatch(
        f"`{part.name}` is about the tokens of a text, and has {have} of them (the model's text: "
        f"{known})",
        PER_TOKEN,
        part.place(),
    )


def names(part: Part, signature: Signature) -> Mismatch | None:
    """A name for each class: with one too few, or one too many, every name may be another's."""
    assert isinstance(part.media, OutputMedia)
    given, classes = part.settings.names, part.media.class_count(part, signature.outputs)
    if given is None or not isinstance(classes, int) or len(given) == classes:
        return None
    what, ending = ("channel", "s") if part.kind == "scores" else ("class", "es")
    fault = f"`{part.name}` has {classes} {what}{ending}, and {len(given)} names are given"
    remedy = f"give each {what} its name, in their order"
    return Mismatch(fault, remedy, ("media", part.kind, "names"))


def equal_names(part: Part, signature: Signature) -> Mismatch | None:
    """Numbers are written by name: of two that are called alike, one would be lost."""
    found = given_twice(part.settings.names or ())
    if found is None:
        return None
    first, again, name = found
    here = ("media", part.kind, "names")
    other = told_apart(part.settings.names)[again]
    return Mismatch(
        f"two numbers of `{part.name}` are called {quote(name)}, and they are written by name",
        f"give each its own, {quote(other)} say",
        (*here, again),
        also=(((*here, first), "the first one"),),
    )


def alike(part: Part, signature: Signature) -> Mismatch | None:
    """What is found is told by the name of its class alone."""
    found = given_twice(part.settings.names or ())
    if found is None:
        return None
    first, again, name = found
    other = told_apart(part.settings.names)[again]
    return Mismatch(
        f"classes {first} and {again} of `{part.name}` are both called {quote(name)}: results do not tell "
        "one from the other",
        f"give each its own name, {quote(other)} say",
        ("media", part.kind, "names", again),
    )


def several_classes(part: Part, signature: Signature) -> Mismatch | None:
    """A choice among one class is always certain of it."""
    if part.channels != 1:
        return None
    fault = f"`{part.name}` has one class: the probability that is shown is 100 % for every input"
    remedy = "give it a score for each answer (yes and no are 2), or write `media: {scores: {}}`"
    return Mismatch(fault, remedy, ("media", part.kind))


def same_stream(inputs: Iterable[Part]) -> list[list[str]]:
    """Names of the inputs that are all the pictures, or all the sound, of the one clip that is read."""
    streams: dict[str, list[str]] = {}
    for part in inputs:
        if isinstance(part.media, InputMedia) and part.media.stream:
            streams.setdefault(part.media.stream, []).append(part.name)
    return [names for names in streams.values() if len(names) > 1]


def fitting_kinds(part: Part) -> list[str]:
    """The other kinds whose checks an input passes as it is, with the settings they have by default."""
    found = []
    for kind, form in InputMedia.forms.items():
        try:
            media = form.model_validate({kind: {}})
        except ValidationError:  # it has settings without a default
            continue
        assert isinstance(media, InputMedia)
        if kind != part.kind and mismatch(replace(part, media=media)) is None:
            found.append(kind)
    return found
