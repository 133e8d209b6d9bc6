"""What a call of an emitted model that is given otherwise is told, and that it works when it is followed."""

from __future__ import annotations

import io
import re
from collections import UserDict
from typing import Any

import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.backends.torch.library import checks
from perceiver_graph.spec.loader import parse_spec

SPEC = """
perceiver: 1
name: told
dims: {seconds: {max: 4}, steps: {max: 500}, length: {max: 12}}
inputs:
  eeg: {shape: {electrode: 5, time: 16 * seconds, channel: 1}}
  track: {shape: {time: steps, channel: 3}}
  text: {shape: {byte: length}, steps: [{embedding: {vocabulary: 11, width: 6}}], attention_mask: true}
  image: {shape: {height: 4, width: 2, channel: 3}}
  joints: {shape: {time: 7, joint: 5, channel: 3}, attention_mask: true}
join: {padding: {min: 0}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  label: {query: {learned: {}}, head: {linear: 2}}
"""


@pytest.fixture(scope="module")
def net() -> Any:
    return pg.compile(parse_spec(SPEC)).to_torch()


def inputs() -> dict[str, torch.Tensor]:
    return {"text": torch.arange(8).view(2, 4), "track": torch.randn(2, 6, 3)}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("track", (1, 3, 500)),
        ("track", (3, 500)),
        ("track", (500, 3)),
        ("eeg", (1, 32, 5, 1)),
        ("eeg", (2, 1, 5, 32)),
        ("eeg", (32, 1, 5)),
        ("image", (2, 3, 4, 2)),
        ("image", (3, 4, 2)),
        ("image", (4, 2, 3)),
        ("image", (2, 4, 6)),
        ("image", (2, 24)),
        ("joints", (2, 7, 15)),
        ("joints", (2, 105)),
        ("eeg", (2, 5, 32)),
        ("eeg", (5, 32)),
    ],
)
def test_the_advice_makes_a_tensor_fit(name: str, shape: tuple[int, ...], net: Any) -> None:
    x = torch.randn(shape)
    with pytest.raises(ValueError, match=f"input `{name}` has shape") as told:
        net({name: x})
    found = re.search("; .*?`(.*?)`", str(told.value))
    assert found
    net({name: eval(found[1], {name: x})})


def test_the_advice_makes_a_mask_fit(net: Any) -> None:
    joints = torch.randn(2, 7, 5, 3)
    for shape in ((2, 7), (2, 5, 7), (2, 35)):
        mask = torch.ones(shape, dtype=torch.bool)
        with pytest.raises(ValueError, match="_mask` has shape") as told:
            net({"joints": joints, "joints.attention_mask": mask})
        found = re.search("; .*?`(.*?)`", str(told.value))
        assert found
        made = eval(found[1], {"attention_mask": mask})
        net({"joints": joints, "joints.attention_mask": made})


def test_what_would_turn_a_picture_is_not_told() -> None:
    """Of a square one, both orders fit."""
    net = pg.compile(parse_spec(SPEC.replace("width: 2", "width: 4"))).to_torch()
    with pytest.raises(ValueError, match=r"; `image\[None\]` fits$"):
        net({"image": torch.zeros(4, 4, 3)})
    square = {"mask.points": torch.zeros(3, 5, 5)}
    with pytest.raises(ValueError, match=r"expected \[batch 2, a 5, b 5\]$"):
        checks.check_shape(square, "mask.points", {"batch": 2, "a": 5, "b": 5})


def test_what_nothing_would_make_fit_is_told_no_way(net: Any) -> None:
    for name, shape in (("joints", (2, 7, 14)), ("image", (5, 2)), ("joints", (7, 5, 3, 2, 1))):
        with pytest.raises(ValueError, match=r"and takes 4 axes: \[[^;]*\]$"):
            net({name: torch.zeros(shape)})


def test_a_batch_that_is_left_out_is_told_before_sizes_that_differ(net: Any) -> None:
    given = {"image": torch.zeros(4, 2, 3), "joints": torch.zeros(1, 7, 5, 3)}
    with pytest.raises(ValueError, match=r"input `image` has .*; `image\[None\]` fits"):
        net(given)
    net({**given, "image": given["image"][None]})
    with pytest.raises(ValueError, match="`batch` is one size in a call, and here it is 2 in"):
        net({**given, "image": torch.zeros(2, 4, 2, 3)})


def test_inputs_may_be_named_in_encode_too(net: Any) -> None:
    given = inputs()
    wanted = net.encode(given)
    for found in (net.encode(**given), net.encode({"text": given["text"]}, track=given["track"])):
        torch.testing.assert_close(found, wanted)
    with pytest.raises(ValueError, match="there is no input `input_ids`, only"):
        net.encode(input_ids=given["text"])


def test_inputs_may_be_named_in_the_call(net: Any) -> None:
    wanted = net(inputs())
    for found in (
        net(**inputs()),
        net({"text": inputs()["text"]}, track=(given := inputs())["track"]),
        net(UserDict(inputs()), None),
    ):
        assert found.keys() == wanted.keys()
    torch.testing.assert_close(net(**given), net(given))
    torch.testing.assert_close(net({"track": given["track"]}, text=given["text"]), net(given))


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (
            lambda net, x: net(x),
            TypeError,
            'in a dict, {"eeg": TENSOR, "image": TENSOR, "joints": TE',
        ),
        (
            lambda net, x: net(x, text=x),
            TypeError,
            "is given by its name, in a dict, .* in a Tensor",
        ),
        (lambda net, x: net([x]), TypeError, "in a dict, .*, not in a list"),
        (lambda net, x: net.encode(x), TypeError, "in a dict, .*, not in a Tensor"),
        (
            lambda net, x: net(input_ids=x),
            ValueError,
            "no input `input_ids`, only eeg, eeg.present",
        ),
        (lambda net, x: net(), ValueError, "no input is given"),
        (lambda net, x: net(text=None), TypeError, "`text` is None"),
    ],
)
def test_what_is_not_given_by_name_is_told_the_names(
    call: Any, error: type[Exception], told: str, net: Any
) -> None:
    with pytest.raises(error, match=told):
        call(net, inputs()["text"])


def test_named_inputs_are_compiled_exported_and_traced(net: Any) -> None:
    given = inputs()
    wanted = net(given)["label"]
    compiled: Any = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(given)["label"], wanted)
    torch.testing.assert_close(compiled(**given)["label"], wanted)
    for args, named in (((given,), {}), ((), given)):
        exported = torch.export.export(net, args, named, strict=True)
        torch.testing.assert_close(exported.module()(*args, **named)["label"], wanted)
    jit: Any = torch.jit
    traced = jit.trace(net, (given,), strict=False)
    torch.testing.assert_close(traced(given)["label"], wanted)
    stored = io.BytesIO()
    torch.save(net, stored)
    stored.seek(0)
    again: Any = torch.load(stored, weights_only=False)
    torch.testing.assert_close(again(**given)["label"], wanted)
