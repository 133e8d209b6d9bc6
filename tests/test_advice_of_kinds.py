"""Kinds of slips in specs whose answer names the line that is right: followed to the letter, it leads to the
model that was meant, not only to one that compiles."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import parse_spec
from tests.followed import followed, leads_to
from tests.tiny import faults

REST = """
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 5}}
"""
PICTURE = f"""
perceiver: 1
name: a
inputs:
  image: {{shape: {{height: 32, width: 32, channel: 3}}, position: {{learned: {{width: 5}}}}, MORE}}
{REST}"""
SOUND = f"""
perceiver: 1
name: a
inputs:
  image: {{shape: {{time: 160, channel: 1}}, position: {{learned: {{width: 5}}}}, MORE}}
{REST}"""
IDS = f"""
perceiver: 1
name: a
inputs:
  image: {{MORE}}
{REST}"""
PATCH = {"patch": {"height": 8, "width": 8}}
NORMALISED = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


@pytest.mark.parametrize(
    ("spec", "written", "meant"),
    [
        # Several steps in one item.
        (
            PICTURE,
            "steps: [{patch: {height: 8, width: 8}, linear: 32}]",
            {"steps": [PATCH, {"linear": 32}]},
        ),
        (
            PICTURE,
            "steps: [{patch: 8, linear: 32, bias: false, batch_norm: }, {activation: relu}]",
            {
                "steps": [
                    PATCH,
                    {"linear": 32, "bias": False},
                    {"batch_norm": {}},
                    {"activation": "relu"},
                ]
            },
        ),
        # Keys without a value.
        (
            PICTURE,
            "steps: [{batch_norm}, {linear: 3}]",
            {"steps": [{"batch_norm": {}}, {"linear": 3}]},
        ),
        (PICTURE, "media: {image}", {"media": {"image": {}}}),
        # Whether an input may be left out.
        (PICTURE, "optional: true", {"mask": "optional"}),
        (PICTURE, "nullable: true", {"mask": "optional"}),
        (PICTURE, "required: false", {"mask": "optional"}),
        (PICTURE, "required: true", {"mask": None}),
        (PICTURE, "mask: required", {"mask": "never"}),
        (PICTURE.replace(REST, "join: {}" + REST), "required: true", {"mask": "never"}),
        # How pictures are read.
        (PICTURE, "normalize: true", {"media": {"image": {}}}),
        (PICTURE, "normalize: {mean: 0.5, std: 0.5}", {"media": {"image": NORMALISED}}),
        (PICTURE, "image_mean: [0.5], image_std: 0.5", {"media": {"image": NORMALISED}}),
        (PICTURE, "std: [0, 0, 0]", {"media": {"image": {"std": [1, 1, 1]}}}),
        (PICTURE, "media: {image: {std: [0, 0, 0]}}", {"media": {"image": {"std": [1, 1, 1]}}}),
        (PICTURE, "resize: 256, center_crop: 224", {"media": {"image": {"crop": 0.875}}}),
        (PICTURE, "media: {image: {resize: 256}}", {"media": {"image": {}}}),
        (PICTURE, "media: {image: {crop: 2}}", {"media": {"image": {"crop": 0.875}}}),
        (PICTURE, "media: {image: {crop: 224}}", {"media": {"image": {"crop": 0.875}}}),
        (PICTURE, "size: 32", {"media": None}),
        (PICTURE, "resample: 2", {"media": {"image": {"resample": "bilinear"}}}),
        # Signals.
        (SOUND, "sample_rate: 16000", {"media": {"audio": {"rate": 16000}}}),
        (SOUND, "fs: 16kHz", {"media": {"audio": {"rate": 16000}}}),
        (SOUND, "media: {sample_rate: 16000}", {"media": {"audio": {"rate": 16000}}}),
        (SOUND.replace("channel: 1", "channel: 6"), "sample_rate: 100", {"media": None}),
        # Ids.
        (IDS, "shape: 1, steps: [{one_hot: 6}]", {"shape": {}}),
        (IDS, "shape: [6], steps: [{one_hot: 6}]", {"shape": {}}),
        (IDS, "shape: {channel: 1}, steps: [{one_hot: 6}]", {"shape": {}}),
        (IDS, "shape: , steps: [{one_hot: 6}]", {"shape": {}}),
        (
            IDS,
            "shape: [64], steps: [{embedding: {vocabulary: 9, width: 8}}], position: {learned: {width: 4}}",
            {"shape": {"token": 64}},
        ),
        # Windows.
        (
            PICTURE,
            "steps: [{max_pool: {kernel: {height: 2, width: 2}}}]",
            {"steps": [{"max_pool": {"window": {"height": 2, "width": 2}}}]},
        ),
        (PICTURE, "in_channels: 3", {"steps": None}),
    ],
)
def test_the_line_that_is_told_is_the_model_that_was_meant(
    spec: str, written: str, meant: dict[str, Any]
) -> None:
    leads_to(spec, written, meant)


@pytest.mark.parametrize(
    "query", ["{text: image}", "{from: image}", "{image: {}}", "{image}", "{tokens: image}"]
)
def test_a_query_that_names_an_input_is_made_of_it(query: str) -> None:
    text = PICTURE.replace(", MORE", "").replace("{learned: {}}", query)
    better, _ = followed(text)
    assert yaml.safe_load(better)["outputs"]["label"]["query"] == {"inputs": "image"}


def test_one_of_two_is_told_with_its_values() -> None:
    two = "{fourier: {bands: 4}, learned: {width: 5}, combine: concat}"
    found = faults(
        lambda: parse_spec(PICTURE.replace(", MORE", "").replace("{learned: {width: 5}}", two))
    )
    assert found[0].help == (
        "keep one of the two: `position: {fourier: {bands: 4}, combine: concat}` or "
        "`position: {learned: {width: 5}, combine: concat}`"
    )


PLACES = [
    ("latents", "init_scale"),
    ("layers", "norm_epsilon"),
    ("layers", "dropout"),
    ("layers", "scale"),
    ("layers", "hidden"),
    ("process", "blocks"),
    ("decode", "chunks"),
    ("dims", "n", "min"),
    ("dims", "n", "max"),
    ("dims", "n", "multiple_of"),
    ("inputs", "image", "shape", "height"),
    ("inputs", "image", "media", "image", "crop"),
    ("inputs", "image", "media", "image", "std"),
    ("inputs", "image", "position", "learned", "init_scale"),
]


VALUES = [math.inf, -math.inf, math.nan, 1e40, -1, "inf", "nan"]


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_a_number_that_is_none_is_answered(place: tuple[str, ...], value: Any) -> None:
    """With a line of which the spec is not made garbage: no least or greatest number of float32."""
    data = yaml.safe_load(PICTURE.replace("MORE", "media: {image: {}}"))
    here = data
    for key in place[:-1]:
        here = here.setdefault(key, {})
    here[place[-1]] = value
    help = str(faults(lambda: lower(parse_spec(yaml.safe_dump(data))))[0].help)
    assert help != "None"
    assert "1e-30" not in help
    assert "1e+30" not in help
    assert ".inf" not in help
    assert "[inf" not in help
