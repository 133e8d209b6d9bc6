"""What a spec that is nearly right is answered: by every slip of one kind, at every place of a spec."""

from __future__ import annotations

from typing import get_args

import pytest
import yaml

from perceiver_graph.diagnostics import DiagnosticError, render
from perceiver_graph.diagnostics.model import Diagnostic
from perceiver_graph.spec.absent import TABLE, Absent, absent
from perceiver_graph.spec.elsewhere import _WORDS, _places, meant, places_of
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.models import NormName, Spec
from perceiver_graph.spec.models.base import Model, all_models
from perceiver_graph.spec.models.steps import ActivationName

TEXT = """\
perceiver: 1
name: example
dims: {n: {max: 512}}
inputs:
  image:
    shape: {height: 16, width: 16, channel: 3}
    steps:
      - patch: {height: 4, width: 4}
      - linear: 64
    position: {fourier: {bands: 4}}
join: {padding: {min: 4}}
latents:
  count: 8
  width: 16
process: {layers: 6, heads: 8}
outputs:
  label:
    query: {learned: {count: 1, width: 16}}
    head: {linear: 10}
"""


def errors(text: str, *overrides: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticError) as caught:
        parse_spec(text, "spec.yaml", overrides)
    return caught.value.diagnostics


def help_of(old: str, new: str) -> str | None:
    assert old in TEXT
    return errors(TEXT.replace(old, new))[0].help


# Characters that are not what they look like

SPACES = [index for index, char in enumerate(TEXT) if char == " "]


@pytest.mark.parametrize("char", ["\u00a0", "\u2003", "\u202f", "\u3000"])
def test_a_space_of_another_kind_is_named_wherever_it_stands(char: str) -> None:
    for index in SPACES:
        text = TEXT[:index] + char + TEXT[index + 1 :]
        found = errors(text)
        line = text.count("\n", 0, index) + 1
        column = index - text.rfind("\n", 0, index)
        named = [d for d in found if f"(U+{ord(char):04X}) at {line}:{column}" in d.message]
        assert named, (line, column, found)
        assert "type a plain space" in str(named[0].help)
        assert char not in render(found)


def test_characters_that_cannot_be_seen_are_named_in_every_key() -> None:
    for key in (
        "name",
        "inputs",
        "shape",
        "height",
        "steps",
        "patch",
        "linear",
        "latents",
        "count",
    ):
        for char in ("\u200b", "\u00ad", "\u200e"):
            text = TEXT.replace(f"{key}:", f"{key}{char}:", 1)
            assert any(f"(U+{ord(char):04X})" in d.message for d in errors(text)), (key, char)


@pytest.mark.parametrize(
    ("ascii", "like", "name"),
    [
        ("o", "\u043e", "cyrillic small letter o"),
        ("a", "\u0430", "cyrillic small letter a"),
        ("c", "\u0441", "cyrillic small letter es"),
        ("o", "\u03bf", "greek small letter omicron"),
        ("t", "\uff54", "fullwidth latin small letter t"),
        ("e", "\u0435", "cyrillic small letter ie"),
    ],
)
def test_letters_of_other_alphabets_are_named(ascii: str, like: str, name: str) -> None:
    for key in ("process", "latents", "count", "outputs", "head", "fourier", "position"):
        if ascii in key:
            text = TEXT.replace(f"{key}:", f"{key.replace(ascii, like, 1)}:", 1)
            messages = [d.message for d in errors(text)]
            assert any(
                f"which is {name} (U+{ord(like):04X}) and not `{ascii}`" in m for m in messages
            )


def test_marks_of_word_processors_are_named() -> None:
    found = errors(TEXT.replace("name: example", "name: \u201cexample\u201d"))
    assert "left double quotation mark (U+201C)" in found[0].message
    found = errors(TEXT.replace("count: 8", "count\uff1a 8"))
    assert any("fullwidth colon (U+FF1A)" in d.message for d in found)


def test_overrides_name_them_too() -> None:
    for override in ("latents.count=\u00a04", "latents.co\u00a0unt=4", "l\u0430tents.count=4"):
        (found,) = errors(TEXT, override)
        assert "(U+00A0)" in found.message or "(U+0430)" in found.message


def test_text_may_hold_what_it_likes() -> None:
    spec = parse_spec(
        TEXT.replace("name: example", "name: example\nsummary: \u00ab\u00a0oui\u00a0\u00bb")
    )
    assert spec.spec.summary == "\u00ab\u00a0oui\u00a0\u00bb"


# Colons without a space, tabs, quotes


def test_a_colon_without_a_space_is_told_at_its_own_line() -> None:
    for index, _ in enumerate(TEXT):
        if TEXT[index : index + 2] != ": ":
            continue
        text = TEXT[: index + 1] + TEXT[index + 2 :]
        line = text.count("\n", 0, index) + 1
        if ":{" in text:  # a bracket after the colon is enough in a mapping in brackets
            try:
                assert parse_spec(text).spec == parse_spec(TEXT).spec
                continue
            except DiagnosticError:
                pass
        found = errors(text)
        said = [d for d in found if "space after the colon" in f"{d.message} {d.help}"]
        assert said, (line, found)
        assert said[0].primary is not None
        assert said[0].primary.span.start_line == line, (line, said)


def test_tabs_and_quotes() -> None:
    (tab,) = errors(TEXT.replace("  count", "\tcount"))
    assert (tab.message, tab.help) == ("tab used for indentation", "indent with spaces")
    (quoted,) = errors(TEXT.replace("name: example", "name: example\nsummary: 'it's mine'"))
    assert quoted.message == "text goes on after the closing quote"
    assert quoted.help == "write `''` for a quote inside of the text"
    fixed = TEXT.replace("name: example", "name: example\nsummary: 'it''s mine'")
    assert parse_spec(fixed).spec.summary == "it's mine"
    (colon,) = errors(TEXT.replace("name: example", "name: example\nsummary: Mine: good"))
    assert "in quotes" in str(colon.help)


# The form with the known numbers: what is advised is right

FORMS = {
    ("shape: {height: 16, width: 16, channel: 3}", "shape: [3, 16, 16]"): None,
    ("shape: {height: 16, width: 16, channel: 3} ", "shape: [16, 16, 3] "): None,
    ("patch: {height: 4, width: 4}", "patch: 4"): None,
    ("patch: {height: 4, width: 4} ", "patch: [4, 4] "): None,
    ("patch: {height: 4, width: 4}", "max_pool: 2"): "max_pool",
    (
        "patch: {height: 4, width: 4}",
        "conv: {channels: 4, kernel: {height: 3, width: 3}, padding: 1}",
    ): "padding",
    ("{linear: 10}", "10"): "head",
    ("{linear: 10} ", "{linear: {out_features: 10}} "): "linear",
    ("{learned: {count: 1, width: 16}}", "learned"): "query",
    ("{learned: {count: 1, width: 16}} ", "image "): "query",
    ("{layers: 6, heads: 8}", "8"): "process",
    ("{max: 512}", "512"): "n",
    ("{padding: {min: 4}}", "{padding: 4}"): "padding",
}


@pytest.mark.parametrize(("old", "new"), FORMS)
def test_the_form_that_is_advised_is_accepted(old: str, new: str) -> None:
    text = TEXT.replace("\n", " \n")
    wrong = text.replace(old, new, 1)
    assert wrong != text
    help = errors(wrong)[0].help
    assert help is not None
    better = help.removeprefix("write `").removesuffix("`")
    assert "..." not in better
    key = better.split(":")[0]
    place = errors(wrong)[0].primary
    assert place is not None
    lines = wrong.splitlines(keepends=True)
    at = place.span.start_line - 1
    start = lines[at].rindex(f"{key}:", 0, place.span.start_col)
    lines[at] = lines[at][:start] + better + lines[at][place.span.end_col - 1 :]
    parse_spec("".join(lines))


def test_forms_with_something_to_fill_in() -> None:
    assert help_of("{fourier: {bands: 4}}", "fourier") == "write `position: {fourier: {bands: 64}}`"
    assert (
        help_of("{fourier: {bands: 4}}", "sinusoidal") == "write `position: {fourier: {bands: 64}}`"
    )
    assert help_of("latents:\n  count: 8\n  width: 16", "latents: 512") == (
        "write `latents: {count: 512, width: 512}`"
    )
    assert help_of("\n      - patch: {height: 4, width: 4}\n      - linear: 64", " patch") == (
        "write `steps: [{patch: {height: 8, width: 8}}]`"
    )
    assert help_of("      - linear: 64", "      - relu") == "write `{activation: relu}`"
    assert help_of("linear: 64", "activation: swish") == "did you mean `silu`?"
    assert help_of("linear: 64", "batch_norm: true") == "write `batch_norm: {}`, for the defaults"
    assert (
        help_of("{height: 16, width: 16", "{height: '16', width: 16") == "remove the quotes: `16`"
    )
    for text in ("16.0", "'16.0'", "'1.6e1'"):
        assert help_of("{height: 16, width: 16", f"{{height: {text}, width: 16") == "write `16`"
    whole = "a size is a whole number: 1 or 2"
    assert help_of("{height: 16, width: 16", "{height: '1.5', width: 16") == whole
    assert help_of("{fourier: {bands: 4}}", "no") == "write `position: none`"
    start = TEXT.index("inputs:")
    listed = TEXT[:start] + "inputs:\n  - {name: image}\n" + TEXT[TEXT.index("join:") :]
    assert errors(listed)[0].help == "write `inputs: {image: {...}}`"


@pytest.mark.parametrize("position", ["{given: [x]}", "{inputs: clip}", "{range: [0, 1]}"])
def test_coordinates_go_with_fourier_features(position: str) -> None:
    key = position[1:].partition(":")[0]
    assert help_of("{fourier: {bands: 4}}", position) == (
        f"`{key}` goes with `fourier`: add `fourier: {{bands: 64}}`"
    )
    learned = f"{position[:-1]}, learned: {{}}}}"
    assert help_of("{fourier: {bands: 4}}", learned) == f"`{key}` goes with `fourier`"


def test_one_resolution_for_each_axis_or_coordinate() -> None:
    wrong = "{fourier: {bands: 4, max_resolution: [8, 9]}}"
    assert (
        help_of("{fourier: {bands: 4}}", wrong) == "write `max_resolution: {height: 8, width: 9}`"
    )
    given = f"{{given: [x, y], {wrong[1:]}"
    assert help_of("{fourier: {bands: 4}}", given) == "write `max_resolution: {x: 8, y: 9}`"
    unnamed = help_of("{fourier: {bands: 4}}", given.replace("[x, y]", "2"))
    assert unnamed == "for example `max_resolution: 224`"  # one for all


# Keys of other places and of other libraries


def test_keys_that_belong_elsewhere_say_where() -> None:
    assert help_of("  width: 16", "  width: 16\n  heads: 8") == (
        "`heads` belongs in `encode`, `process` or `decode`: write `encode: {heads: 8}`, not indented"
    )
    assert help_of("join:", "media: {image: {}}\njoin:") == (
        "`media` belongs in `inputs.NAME` or `outputs.NAME`: write `media: {image: {}}` under `inputs.image`"
    )
    assert help_of("heads: 8}", "heads: 8, layres: 1}") == "did you mean `layers`?"
    assert help_of("{layers: 6", "{num_layers: 6") == "did you mean `layers`?"
    assert places_of(Spec, "outputs") == "`outputs` belongs in the spec itself"
    assert places_of(Spec, "no_such_key") is None
    assert places_of(Spec, "activation", ("outputs", "y")) == (
        "`activation` belongs in `outputs.NAME.head` or `outputs.NAME.head.mlp`"
    )
    assert places_of(Spec, "learned", ("outputs", "y", "query", "position")) is None
    # A word for many things is for one that stands nearby.
    assert help_of("join:", "    media: {image: {size: 224}}\njoin:") == (
        "leave it out: pictures are brought to the size of the shape, "
        "`shape: {height: 16, width: 16, channel: 3}`"
    )
    nothing = str(help_of("heads: 8}", "heads: 8, size: 1}"))
    assert nothing.startswith("leave it out: the keys known here are `heads`, `qk_width`"), nothing
    outputs = errors(
        TEXT.replace("outputs:\n", "decode:\n  outputs:\n").replace("  label", "    label")
    )
    assert any("`outputs` belongs in the spec itself" in str(d.help) for d in outputs)


def test_every_word_of_ours_that_has_other_names_is_a_key() -> None:
    known = {*_places(Spec), *get_args(ActivationName), *get_args(NormName), *_choices()}
    for line in _WORDS.strip().splitlines():
        ours, _, theirs = line.partition(": ")
        assert ours in known, ours
        for word in theirs.split():
            assert ours in meant(word, (ours,)), word


def _choices() -> set[str]:
    """The words that keys of the language take, each of which has others elsewhere."""
    fields = [
        field for model in all_models(Model).values() for field in model.model_fields.values()
    ]
    words = {"same", "valid"}  # of padding, which takes mappings as well
    pending = [field.annotation for field in fields]
    while pending:
        parts = get_args(pending.pop())
        words |= {part for part in parts if isinstance(part, str)}
        pending += [part for part in parts if get_args(part)]
    return words


# What the language does not have

PLACES = {
    "anywhere": ("process", "inputs.image.position"),
    "attention": ("encode", "process", "decode"),
    "latents": ("latents",),
    "encode": ("encode",),
    "query": ("outputs.label.query",),
    "steps": ("inputs.image.steps.0",),
    "linear": ("outputs.label.head",),
    "top": ("",),
}


@pytest.mark.parametrize("entry", TABLE, ids=[f"{e.where}-{e.words.split()[0]}" for e in TABLE])
def test_words_that_the_language_does_not_have_say_what_there_is(entry: Absent) -> None:
    data = yaml.safe_load(TEXT)
    for word in entry.words.split():
        for place in PLACES[entry.where]:
            changed = yaml.safe_load(yaml.safe_dump(data))
            here = changed
            for part in place.split(".") if place else ():
                here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
            if place.startswith(
                ("outputs.label.query", "inputs.image.steps", "inputs.image.position")
            ):
                here.clear()
            assert word not in here, f"the language has learned {word}: take it out of the table"
            here[word] = 1
            found = errors(yaml.safe_dump(changed, sort_keys=False))
            said = [d for d in found if d.code == "PG111"]
            assert len(said) == 1, (word, place, found)
            assert said[0].message.startswith(f"`{word}` is not in the language")
            told = str(said[0].help)  # of what prepares files, with the line that does
            assert told == entry.instead or told.startswith("take it out of the steps; ")


def test_one_word_in_several_places_is_told_once() -> None:
    text = TEXT.replace(
        "process: {layers: 6", "encode: {alibi: {}}\nprocess: {alibi: {}, layers: 6"
    )
    (found,) = errors(text)
    assert found.code == "PG111"
    assert [label.text for label in found.secondary] == ["here, too"]


def test_words_of_the_language_are_not_in_the_table() -> None:
    assert absent("swiglu", ("process", "activation")) is not None
    for word in get_args(ActivationName):
        assert absent(word, ("process", "activation")) is None
