"""Advice that says the end at once: what is written elsewhere by a kind, by a number of ids or as a list in a
list, and words for sizes that are known only at run time."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import parse_spec
from tests.followed import followed, leads_to
from tests.test_advice_of_kinds import IDS, NORMALISED, PATCH, PICTURE, REST
from tests.test_spec_advice import TEXT
from tests.tiny import faults

OTHER = "    head: {linear: 10}\n  other:\n    head: {linear: 3}\n    query: label\n"
POSITION = "position: {learned: {width: 5}}"


@pytest.mark.parametrize(
    ("spec", "written", "meant"),
    [
        (
            IDS,
            f"shape: [3, 32, 32], {POSITION}, normalize: {{mean: 0.5, std: 0.5}}",
            {"shape": {"height": 32, "width": 32, "channel": 3}, "media": {"image": NORMALISED}},
        ),
        # Inputs of ids.
        (
            IDS,
            "seq_len: 64, vocab_size: 9, d_model: 8",
            {"shape": {"token": 64}, "steps": [{"embedding": {"vocabulary": 9, "width": 8}}]},
        ),
        (IDS, "n_positions: 64, vocab_size: 9", {"shape": {"token": 64}}),
        (IDS, "shape: 1, one_hot: 6", {"shape": {}, "steps": [{"one_hot": 6}]}),
        # Steps among the keys of an input.
        (
            IDS,
            "shape: {token: 64}, embedding: {vocabulary: 9, width: 8}",
            {"steps": [{"embedding": {"vocabulary": 9, "width": 8}}]},
        ),
        (PICTURE, "patch: 8", {"steps": [PATCH]}),
        (PICTURE, "patch: 8, linear: 32", {"steps": [PATCH, {"linear": 32}]}),
        # Kinds that are said by a key.
        (
            PICTURE,
            "steps: [{type: linear, out_features: 32}]",
            {"steps": [{"linear": 32}]},
        ),
        (PICTURE, "media: {type: image}", {"media": {"image": {}}}),
        # Lists in lists.
        (
            PICTURE,
            "steps: [[{linear: 32}, {activation: relu}]]",
            {"steps": [{"linear": 32}, {"activation": "relu"}]},
        ),
        (PICTURE, "steps: [[linear, 32]]", {"steps": [{"linear": 32}]}),
        # What no kind of media is.
        (IDS, f"shape: {{time: 16, channel: 1}}, {POSITION}, media: eeg", {"media": None}),
        (PICTURE, "media: camera", {"media": {"image": {}}}),
        (IDS, f"shape: {{time: 16, channel: 1}}, {POSITION}, media: lidar", {"media": None}),
    ],
)
def test_the_line_that_is_told_is_the_model_that_was_meant(
    spec: str, written: str, meant: dict[str, Any]
) -> None:
    leads_to(spec, written, meant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("position: {type: fourier, num_bands: 4}", {"fourier": {"bands": 4}}),
        ("positional_encoding: {type: fourier, num_bands: 4}", {"fourier": {"bands": 4}}),
        ("pos_emb: sinusoidal", {"fourier": {"bands": 64}}),
        ("pe: learned", {"learned": {}}),
        ("postion: fourier", {"fourier": {"bands": 64}}),
    ],
)
def test_a_position_by_another_name_takes_one_round(written: str, meant: Any) -> None:
    shape = "shape: {time: 16, channel: 4}"
    text = IDS.replace("MORE", f"{shape}, {written}")
    told = faults(lambda: lower(parse_spec(text)))[0].help or ""
    assert told.startswith("write `position: "), told
    assert yaml.safe_load(told.split("`")[1])["position"] == meant


@pytest.mark.parametrize(
    "word", ["inf", "nan", "any", "dynamic", "auto", "None", "'?'", "'*'", "-1"]
)
def test_a_size_that_is_known_only_at_run_time(word: str) -> None:
    text = IDS.replace("MORE", f"shape: {{time: {word}, channel: 4}}, {POSITION}")
    told = faults(lambda: lower(parse_spec(text)))[0].help
    assert "declare `dims: {time: {max: 2048}}` and write `time`" in str(told)
    text = IDS.replace("MORE", f"shape: {{time: 9, channel: {word}}}, {POSITION}")
    assert "`channel: 3`" in str(faults(lambda: lower(parse_spec(text)))[0].help)


@pytest.mark.parametrize("value", ["0", "-1", "null", "true", "inf", "'*'", "0.5", "[0, 5]"])
def test_a_symbol_of_no_range_takes_one_round(value: str) -> None:
    text = f"dims: {{t: {value}}}" + IDS.replace(
        "MORE", "shape: {time: t, channel: 4}, position: {fourier: {bands: 4}}"
    )
    better, advice = followed(text)
    most = 5 if "5]" in value else 2048
    assert (yaml.safe_load(better)["dims"]["t"]["max"], len(advice)) == (most, 1), advice


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("linear: 64", "activation: ReLU", "activation: relu"),
        ("linear: 64", "activation: SiLU", "activation: silu"),
        ("linear: 64", "ReLU", "activation: relu"),
        ("    head: {linear: 10}\n", OTHER, "query: {output: label}"),
        ("count: 8", "count: -1", "count: 256"),
        ("count: 8", "count: dynamic", "count: 256"),
        ("count: 1,", "count: any,", "count: 256,"),
    ],
)
def test_a_word_or_a_number_takes_one_round(old: str, new: str, meant: str) -> None:
    better, advice = followed(TEXT.replace(old, new))
    assert len(advice) == 1, advice
    assert yaml.safe_load(better) == yaml.safe_load(
        TEXT.replace(old, new.replace(new.strip().splitlines()[-1].strip(), meant))
    ), advice


@pytest.mark.parametrize("written", ["inputs: [front, left]", "cameras: [front, left]"])
def test_several_cameras_are_inputs_that_are_alike(written: str) -> None:
    text = f"perceiver: 1\nname: a\n{written}\n{REST}"
    told = [str(one.help) for one in faults(lambda: parse_spec(text))]
    line = next(one for one in told if one.startswith("write `inputs: "))
    found = yaml.safe_load(line.split("`")[1])
    assert [*found["inputs"]] == ["front", "left"]
    lower(parse_spec(f"perceiver: 1\nname: a\n{yaml.safe_dump(found, sort_keys=False)}\n{REST}"))
