"""Words of the configurations of other libraries: answered by what they mean, and the answer works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.configurations import MEANINGS, Meaning
from perceiver_graph.spec.loader import parse_spec
from tests.test_spec_advice import TEXT, errors

WHERE = ("", "layers", "encode", "process", "decode", "latents")
UNDER = re.compile(r"write `([^`]*)`(?: under (`[^;]*`))?")


def changed(place: str, entries: dict[str, Any], of: str = TEXT) -> str:
    """The spec with entries in the mapping at a place, which is made if it is not there."""
    data = yaml.safe_load(of)
    here = data
    for part in place.split(".") if place else ():
        here = here.setdefault(part, {})
    here.update(entries)
    return yaml.safe_dump(data, sort_keys=False)


def told(place: str, entries: dict[str, Any]) -> str:
    return str(errors(changed(place, entries))[0].help)


def followed(help: str, place: str, value: Any) -> Iterator[str]:
    """The spec with what is advised, for every place that is named."""
    if key := re.match(r"did you mean `(\w+)`\?", help):
        yield changed(place, {key[1]: value})
        return
    match = UNDER.match(help)
    assert match, help
    entries = yaml.safe_load(f"{{{match[1].replace('...', '8')}}}")
    for one in re.findall(r"`([^`]+)`", match[2] or f"`{place}`"):
        yield changed(one, entries)


def value_of(meaning: Meaning) -> Any:
    if meaning.switch or meaning.form in ("mlp: %", "query_residual: %", "rotary: %"):
        return True
    key = re.findall(r"(\w+): (?:%|\{)", meaning.form)[-1]
    known = {"activation": "gelu_new", "dropout": 0.1, "norm_epsilon": 1e-12, "init_scale": 0.02}
    known |= {"bias": False, "qkv": False, "fraction": 0.5}
    return known.get(key, 8)


@pytest.mark.parametrize(
    "meaning", dict.fromkeys(MEANINGS.values()), ids=lambda m: m.words.split()[0]
)
def test_what_is_advised_works_wherever_a_word_stands(meaning: Meaning) -> None:
    value = value_of(meaning)
    own = [
        place.replace("NAME", "image" if "inputs" in place else "label")
        for place in meaning.where.split()
    ]
    first, *others = meaning.words.split()
    own = [one for one in own if "dims" not in one and not one.endswith((".learned", ".shape"))]
    places = {first: (*WHERE, *own)} | dict.fromkeys(others, ("", *own))
    for word in places:
        for place in dict.fromkeys(places[word]):
            help = told(place, {word: value})
            given = "gelu" if value == "gelu_new" else value
            for text in followed(help, place, given):
                parse_spec(text)


EXPECTED = {
    "d_latents": "write `width: 8` under `latents`",
    "num_latents": "write `count: 8` under `latents`",
    "d_model": "write `width: 8` under `latents`; the width of tokens is that of their last step",
    "hidden_size": "write `width: 8` under `latents`; the width of tokens is that of their last step",
    "latent_dim": "write `width: 8` under `latents`",
    "dim": "write `width: 8` under `latents`; the width of tokens is that of their last step",
    "n_layers": "write `layers: 8` under `process`",
    "num_self_attends_per_block": "write `layers: 8` under `process`",
    "self_per_cross_attn": "write `layers: 8` under `process`",
    "num_blocks": "write `blocks: 8` under `process`",
    "num_cross_attention_heads": "write `heads: 8` under `encode` or `decode`",
    "cross_heads": "write `heads: 8` under `encode` or `decode`",
    "latent_heads": "write `heads: 8` under `process`",
    "num_heads": "write `heads: 8` under `encode`, `process` or `decode`",
    "head_dim": "write `qk_width: 64` under `process`; that of all 8 heads together",
    "latent_dim_head": "write `qk_width: 64` under `process`; that of all 8 heads together",
    "cross_dim_head": "write `qk_width: 8` under `encode`",
    "qk_channels": "write `qk_width: 8` under `encode`, `process` or `decode`",
    "v_channels": "write `v_width: 8` under `encode`, `process` or `decode`",
    "num_cross_attention_qk_channels": "write `qk_width: 8` under `encode` or `decode`",
    "widening_factor": "write `widening: 8` under `layers`",
    "num_freq_bands": "write `bands: 8` under `inputs.image.position.fourier`",
    "max_freq": "write `max_resolution: 8` under `inputs.image.position.fourier`",
    "position_embedding_init_scale": (
        "write `position: {learned: {init_scale: 8}}` under `inputs.image`"
    ),
    "vocab_size": "write `steps: [{embedding: {vocabulary: 8, width: 512}}, {patch: {height: 4, width: 4}}, "
    "{linear: 64}]` under `inputs.image`",
    "patch_size": "write `steps: [{patch: {height: 8, width: 8}}, {linear: 64}]` under `inputs.image`",
    "input_channels": "write `channel: 8` under `inputs.image.shape`",
    "num_labels": "write `head: {linear: 8}` under `outputs.label`",
    "max_seq_len": "write `max: 8` under `dims.n`; a shape says the size by this name",
}


@pytest.mark.parametrize("word", EXPECTED)
def test_a_word_at_the_top_is_answered_by_what_it_means(word: str) -> None:
    assert told("", {word: 8}) == EXPECTED[word]


@pytest.mark.parametrize(
    ("place", "entries", "wanted"),
    [
        ("", {"hidden_act": "gelu_new"}, "write `activation: gelu_tanh` under `layers`"),
        ("", {"hidden_act": "quick_gelu"}, "write `activation: ...` under `layers`"),
        ("", {"layer_norm_eps": 1e-12}, "write `norm_epsilon: 1e-12` under `layers`"),
        ("", {"attention_probs_dropout_prob": 0.1}, "write `dropout: 0.1` under `layers`"),
        (
            "",
            {"use_query_residual": False},
            "write `query_residual: false` under `encode` or `decode`",
        ),
        ("encode", {"hidden_size": 512}, EXPECTED["hidden_size"].replace("8", "512")),
        ("encode", {"num_self_attention_heads": 8}, EXPECTED["latent_heads"]),
        ("encode", {"num_cross_attention_heads": 8}, "did you mean `heads`?"),
        ("process", {"num_layers": 8}, "did you mean `layers`?"),
        ("process", {"head_dim": 8}, "write `qk_width: 64`; that of all 8 heads together"),
        (
            "encode",
            {"head_dim": 8, "heads": 4},
            "write `qk_width: 32`; that of all 4 heads together",
        ),
        ("encode", {"widening_factor": 4}, "did you mean `widening`?"),
        ("process.within", {"num_heads": 4, "layers": 1}, "did you mean `heads`?"),
        (
            "",
            {"cross_dim_head": 64, "cross_heads": 2},
            "write `qk_width: 128` under `encode`; that of all 2 heads together",
        ),
        ("dims", {"length": {"d_model": 8}}, EXPECTED["d_model"]),
        ("", {"dim": {"n": {"max": 4}}}, "did you mean `dims`?"),
        ("", {"layers": 6}, "write `layers: 6` under `process`; here is how all of them are built"),
    ],
)
def test_a_word_is_answered_by_its_place_and_value(
    place: str, entries: dict[str, Any], wanted: str
) -> None:
    assert told(place, entries) == wanted


def test_names_that_are_not_clear_are_left_open() -> None:
    text = changed("inputs", {"sound": {"shape": {"time": 16, "channel": 1}}})
    assert errors(changed("", {"num_bands": 8}, text))[0].help == (
        "write `position: {fourier: {bands: 8}}` under `inputs.NAME`"
    )
    assert told("inputs.image", {"vocab_size": 8}) == (
        "write `steps: [{embedding: {vocabulary: 8, width: 512}}, {patch: {height: 4, width: 4}}, "
        "{linear: 64}]`"
    )


# Latents that are tokens


@pytest.mark.parametrize("key", ["num_latents", "count", "n", "num"])
def test_how_many_tokens_are_latents_is_said_by_last(key: str) -> None:
    text = TEXT.replace("  count: 8\n  width: 16", f"  of: image\n  {key}: 4")
    (found,) = errors(text)
    assert found.help == (
        "write `last: 4` for the last tokens of `image`, or `chosen: 4` for those that the caller chooses"
    )
    for better in ("last", "chosen"):
        parse_spec(text.replace(f"  {key}: 4", f"  {better}: 4"))


def test_latents_that_are_tokens_have_no_width_of_their_own() -> None:
    text = TEXT.replace("  count: 8", "  of: image\n  last: 8")
    (found,) = errors(text)
    assert found.help == "leave it out: latents that are tokens are as wide as these"
    parse_spec(text.replace("  width: 16\n", "", 1))


# Lists where mappings belong, limits, shares and thousands


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        (
            "inputs",
            [{"a": {"shape": {"time": 4, "channel": 3}}}],
            "inputs: {a: {shape: {time: 4, channel: 3}}}",
        ),
        ("inputs", [{"shape": {"time": 4}}], "inputs: {NAME: {...}}"),
        ("process", [{"layers": 6}, {"heads": 8}], "process: {layers: 6, heads: 8}"),
        ("latents", [{"count": 8}, {"width": 16}], "latents: {count: 8, width: 16}"),
        ("outputs.label.head", [{"linear": 10}], "head: {linear: 10}"),
        ("inputs.image.position", [{"fourier": {"bands": 4}}], "position: {fourier: {bands: 4}}"),
        ("dims.n", [1, 512], "n: {min: 1, max: 512}"),
        ("dims.n", ["a", "b"], "n: {min: ..., max: ...}"),
        ("dims.n", [1.5, 512], "n: {min: ..., max: ...}"),
        ("dims.n", "1..512", "n: {min: 1, max: 512}"),
        ("dims.n", "1 to 512", "n: {min: 1, max: 512}"),
        ("dims.n", [512], "n: {max: 512}"),
        ("process.dropout", "10%", "0.1"),
        ("latents.width", "1k", "1000"),
        ("latents.width", "1,024", "1024"),
        ("latents.width", "32Ki", "32768"),
        ("latents.count", "8k", "8000"),
    ],
)
def test_how_it_is_written(path: str, value: Any, wanted: str) -> None:
    place, _, key = path.rpartition(".")
    text = changed(place, {key: value})
    assert errors(text)[0].help == f"write `{wanted}`"
    if "..." not in wanted:
        found = yaml.safe_load(wanted)
        parse_spec(changed(place, found if isinstance(found, dict) else {key: found}))


@pytest.mark.parametrize("value", ["262k", "262 k", "262,000", "262_000", "262e3"])
def test_how_many_ids_there_are_is_one_number(value: str) -> None:
    step = f"embedding: {{vocabulary: '{value}', width: 4}}"
    text = TEXT.replace("patch: {height: 4, width: 4}", step)
    assert errors(text)[0].help in ("write `262000`", "remove the quotes: `262_000`")
    parse_spec(text.replace(f"'{value}'", "262000"))


def test_sizes_have_no_unit() -> None:
    for text in ("16px", "16 px"):
        assert told("inputs.image.shape", {"height": text}) == (
            "a size counts places and has no unit: write `16`"
        )
    assert told("process", {"dropout": 10}) == "10 % is `0.1`"
    assert told("process", {"dropout": "none"}) == "leave `dropout` out"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("process.dropout", "300%"),
        ("process.dropout", "100%"),
        ("latents.width", "0k"),
        ("latents.width", "3000M"),
    ],
)
def test_a_number_that_would_be_refused_is_not_advised(path: str, value: str) -> None:
    place, _, key = path.rpartition(".")
    assert str(errors(changed(place, {key: value}))[0].help).startswith(f"for example `{key}: ")


# Axes by other names


@pytest.mark.parametrize(
    ("given", "meant"),
    [("h: 4", "height"), ("y: 4", "height"), ("rows: 4", "height"), ("w: 4", "width")],
)
def test_an_axis_by_another_name(given: str, meant: str) -> None:
    from perceiver_graph.compiler.lowering.lower import lower

    text = TEXT.replace("patch: {height: 4, width: 4}", f"patch: {{{given}}}")
    with pytest.raises(DiagnosticError) as caught:
        lower(parse_spec(text))
    assert caught.value.diagnostics[0].help == f"did you mean `{meant}`?"
