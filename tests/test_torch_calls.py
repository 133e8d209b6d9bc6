"""Calls of emitted models: what is wrong with inputs is told, and outputs have the shapes of the manifest."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.spec.loader import parse_spec
from tests.torch_support import emit, lowered

TWO = """
perceiver: 1
name: two
dims: {length: {min: 4, max: 40, multiple_of: 4}, n: {max: 6}}
inputs:
  text: {shape: {byte: length}, steps: [{embedding: {vocabulary: 11, width: 6}}], attention_mask: true}
  sound: {shape: {time: 5 * length, channel: 1}, steps: [{patch: {time: 5}}]}
  score: {shape: {row: 3, time: length / 4, channel: 2}, mask: never}
  image: {shape: {height: 4, width: 2, channel: 3}, mask: optional}
join: {padding: {min: 1}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 1}}
outputs:
  text: {query: {grid: {byte: length}, position: {learned: {width: 4}}}, head: {linear: 11}}
  map: {query: {grid: {quarter: length / 4}, position: {learned: {width: 4}}}, head: {linear: 2}}
  steps: {query: {grid: {step: n}, position: {learned: {width: 4}}}, head: {linear: 2}}
  score: {query: {inputs: score}, head: {linear: 2}}
  label: {query: {learned: {}}, head: {linear: 5}}
"""


CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}


def inputs(length: int = 12, batch: int = 2) -> dict[str, torch.Tensor]:
    return {
        "text": torch.arange(batch * length).view(batch, length) % 11,
        "sound": torch.randn(batch, 5 * length, 1),
        "score": torch.randn(batch, 3, length // 4, 2),
        "image": torch.randn(batch, 4, 2, 3),
    }


@pytest.fixture(scope="module")
def net() -> Any:
    return pg.compile(parse_spec(TWO)).to_torch().eval()


def shapes(outputs: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in outputs.items()}


@pytest.mark.parametrize("length", [4, 12, 40])
def test_outputs_have_the_sizes_of_the_inputs(net: Any, length: int) -> None:
    expected = {
        "text": (2, length, 11),
        "map": (2, length // 4, 2),
        "score": (2, 3, length // 4, 2),
        "steps": (2, 6, 2),
        "label": (2, 5),
    }
    assert shapes(net(inputs(length))) == expected
    assert shapes(net(inputs(length), sizes={"n": 2})) == expected | {"steps": (2, 2, 2)}
    some = net(inputs(length), {"map": torch.tensor([0, 0])})
    assert shapes(some) == {"map": (2, 2, 2), "label": (2, 5)}


def test_a_state_is_cut_and_stored_like_any_arrays(net: Any) -> None:
    state = net.encode(inputs(8))
    whole = net.decode(state)
    stored = io.BytesIO()
    torch.save({name: tensor[1:].clone() for name, tensor in state.items()}, stored)
    stored.seek(0)
    second = net.decode(torch.load(stored))
    torch.testing.assert_close(second, {name: tensor[1:] for name, tensor in whole.items()})


def changed(name: str, tensor: torch.Tensor | None) -> dict[str, torch.Tensor]:
    found = inputs()
    if tensor is None:
        del found[name]
    else:
        found[name] = tensor
    return found


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("score", None, "`score` is missing"),
        ("image", torch.zeros(2, 4, 3, 3), r"`image` .* \[2, 4, 3, 3\], expected .*width 2"),
        (
            "image",
            torch.zeros(3, 4, 2, 3),
            "`batch` is one size .*2 in input `text`.*3 in .*`image`",
        ),
        ("image", torch.zeros(4, 2, 3), "`image` has shape|`batch` is one size"),
        ("sound", torch.zeros(2, 55, 1), r"`sound` .* \[2, 55, 1\], expected .*time 60"),
        (
            "text",
            torch.zeros(2, 13, dtype=torch.int64),
            "`length` is 13 .*a multiple of 4, 4 to 40",
        ),
        ("text", torch.zeros(2, 44, dtype=torch.int64), "`length` is 44 in input `text`"),
        ("text", torch.full((2, 12), 11), "`text` holds 11, and takes 0 to 10"),
        ("text", torch.full((2, 12), -1), "`text` holds -1, and takes 0 to 10"),
        ("text", torch.zeros(2, 12), "`text` is torch.float32, and takes whole numbers"),
        ("text.attention_mask", torch.ones(2, 11).bool(), r"mask` has shape \[2, 11\]"),
        ("text.attention_mask", torch.full((2, 12), 5), "holds 5, and takes 0 to 1"),
        ("text.attention_mask", torch.zeros(2, 12), r"and a mask is bool.* \(mask == 0\) if it is"),
        ("image.present", torch.ones(3).bool(), r"`image.present` has shape \[3\]"),
        ("txet", torch.zeros(2), "there is no input `txet`"),
        (
            "text",
            torch.zeros(2, 12).bool(),
            "`text` is torch.bool, and takes whole numbers below 11",
        ),
        ("sound", torch.zeros(2, 60, 1).bool(), "`sound` is torch.bool, and takes real numbers"),
        ("sound", torch.zeros(2, 60, 1) + 0j, "`sound` is torch.complex64, and takes real numbers"),
        (
            "sound",
            torch.full((2, 60, 1), 1e300, dtype=torch.float64),
            "`sound` holds inf, and takes finite",
        ),
        (
            "sound",
            torch.full((2, 60, 1), -1e19),
            r"`sound` holds -1e\+19, and takes numbers up to 1e\+17",
        ),
        ("sound", torch.full((2, 60, 1), float("nan")), "`sound` holds nan, and takes finite"),
        ("image", torch.full((2, 4, 2, 3), -torch.inf), "`image` holds -inf, and takes finite"),
    ],
)
def test_wrong_inputs_are_told(net: Any, name: str, tensor: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net(changed(name, tensor))


def test_what_is_asked_for_is_checked(net: Any) -> None:
    for queries, message in [
        ({"map": torch.tensor([3])}, "positions of output `map` holds 3, and takes 0 to 2"),
        ({"text": torch.tensor([-1])}, "holds -1"),
        ({"text": torch.tensor([True])}, "`text` is torch.bool, and takes whole numbers"),
        ({"label": torch.tensor([0])}, "there is no output with positions `label`"),
    ]:
        with pytest.raises(ValueError, match=message):
            net(inputs(), queries)
    for sizes, message in [
        ({"n": 7}, "`n` is 7, and may be 1 to 6"),
        ({"n": True}, "`n` is True, and may be 1 to 6"),
        ({"n": 2.0}, "`n` is 2.0, and may be 1 to 6"),
        ({"m": 1}, "no size `m`"),
    ]:
        with pytest.raises(ValueError, match=message):
            net(inputs(), sizes=sizes)
    assert net(inputs(), sizes={"n": np.int64(2)})["steps"].shape == (2, 2, 2)
    with pytest.raises(ValueError, match="`image` is missing"):
        net(changed("image", None) | {"image.present": torch.ones(2).bool()})


def test_what_is_no_dict_is_refused(net: Any) -> None:
    with pytest.raises(
        TypeError, match=r"each input is given by its name, in a dict, .*, not in a Tensor"
    ):
        net(torch.zeros(2, 3))
    for queries in (["map"], "map", torch.tensor([1])):
        with pytest.raises(TypeError, match="each output with positions is given by its name"):
            net(inputs(), queries)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "sound",
            np.zeros((2, 60, 1)),
            r"`sound` is of type ndarray, .* torch.as_tensor\(sound\).float",
        ),
        ("text", np.zeros((2, 12), np.int64), r"`text` is of type ndarray, .*as_tensor\(text\)$"),
        ("image", None, "input `image` is None: give a tensor, or leave it out"),
        ("image", [[1.0]], "input `image` is of type list"),
        ("text.attention_mask", True, "input `text.attention_mask` is of type bool"),
    ],
)
def test_what_is_no_tensor_is_refused(net: Any, name: str, value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        net({**inputs(), name: value})


def test_the_advice_for_a_range_of_positions_works(net: Any) -> None:
    with pytest.raises(TypeError, match=r"type slice, and takes torch.arange\(START, STOP\)"):
        net(inputs(), {"map": slice(0, 2)})
    assert net(inputs(), {"map": torch.arange(0, 2)})["map"].shape == (2, 2, 2)


def test_queries_and_sizes_of_the_wrong_kind_are_refused(net: Any) -> None:
    for queries in ({"map": None}, {"map": slice(0, 2)}, {"map": [1]}, {"map": np.arange(2)}):
        with pytest.raises(TypeError, match=r"output with positions `map` is (None|of type \w+)"):
            net(inputs(), queries)
    with pytest.raises(
        TypeError,
        match=r"each size is given by its name, in a dict, \{\"n\": NUMBER\}, not in a int",
    ):
        net(inputs(), sizes=12)
    with pytest.raises(TypeError, match="size `n` is None"):
        net(inputs(), sizes={"n": None})
    with pytest.raises(ValueError, match=r"input `score` is missing|no input is given"):
        net(None)
    with pytest.raises(
        ValueError, match=r"points of `map` are queries, not inputs: \{'map': points"
    ):
        net({**inputs(), "map.points": torch.zeros(2, 3, 2)})


def test_values_on_an_accelerator_are_not_waited_for(net: Any) -> None:
    elsewhere = {name: tensor.to("meta") for name, tensor in inputs().items()}
    net.check(elsewhere)
    with pytest.raises(ValueError, match="`sound` has shape"):
        net.check(elsewhere | {"sound": torch.zeros(2, 5, 1, device="meta")})


def test_compiled_and_exported_models_have_no_checks(net: Any) -> None:
    compiled: Any = torch.compile(net, dynamic=True, fullgraph=True, backend="eager")
    for given in (inputs(8), inputs(12)):
        torch.testing.assert_close(compiled(given), net(given), **CLOSE)
    for strict in (True, False):
        exported = torch.export.export(net, (given,), strict=strict)
        torch.testing.assert_close(exported.module()(given), net(given), **CLOSE)
        assert not any("aminmax" in str(node.target) for node in exported.graph.nodes)


@pytest.mark.parametrize("left_out", ["text", "sound"])
def test_other_inputs_say_the_size_of_one_that_is_left_out(net: Any, left_out: str) -> None:
    assert net(changed(left_out, None))["text"].shape == (2, 12, 11)
    assert net(changed(left_out, None))["score"].shape == (2, 3, 3, 2)


def test_a_left_out_input_says_the_smallest_size() -> None:
    text = """
perceiver: 1
name: left-out
dims: {n: {min: 2, max: 9}}
inputs:
  a: {shape: {time: n, channel: 2}, mask: optional}
  b: {shape: {channel: 2}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs: {a: {query: {grid: {time: n}, position: {learned: {width: 4}}}, head: {linear: 3}}}
"""
    net: Any = pg.compile(parse_spec(text)).to_torch()
    assert net({"b": torch.zeros(3, 2)})["a"].shape == (3, 2, 3)
    assert net({"b": torch.zeros(3, 2), "a": torch.zeros(3, 7, 2)})["a"].shape == (3, 7, 3)


LEFT_OUT = """
perceiver: 1
name: left-out
dims: {n: {min: 2, max: 9}, k: {max: 4}}
inputs:
  a: {shape: {time: n, channel: 2}, mask: optional}
  c: {shape: {time: 2 * n, channel: 2}, mask: optional}
  b: {shape: {channel: 2}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
decode: {padding: {min: 0}, chunks: CHUNKS}
outputs:
  a: {query: {inputs: a}, head: {linear: 3}}
  grid: {query: {grid: {time: n, step: k}, position: {learned: {width: 4}}}, head: {linear: 2}}
  inside: {query: {points: 2, position: {fourier: {bands: 2, max_resolution: 8}}}, head: {linear: 1}}
  colour: {query: {output: inside}, head: {linear: 3}}
  label: {query: {learned: {}}, head: {linear: 5}}
"""


@pytest.mark.parametrize("chunks", [1, 3])
def test_outputs_come_whole_beside_points_and_in_sizes_that_are_given(
    chunks: int, tmp_path: Path
) -> None:
    """As those of the programs."""
    compiled = pg.compile(parse_spec(LEFT_OUT.replace("CHUNKS", str(chunks))))
    compiled.save(tmp_path / "artifact")
    program = pg.load(tmp_path / "artifact", device="cpu")
    net: Any = compiled.to_torch().eval()
    b, points = torch.randn(3, 2), torch.randn(3, 7, 2)
    wanted = {"inside": points}
    some_sizes: list[dict[str, int]] = [{}, {"n": 5}, {"n": 2, "k": 1}]
    for given in some_sizes:
        found = net({"b": b}, wanted, given)
        n, k = given.get("n", 2), given.get("k", 4)
        assert shapes(found) == {
            "a": (3, n, 3),
            "grid": (3, n, k, 2),
            "inside": (3, 7, 1),
            "colour": (3, 7, 3),
            "label": (3, 5),
        }
        expected = program.run({"b": b.numpy(), "inside.points": points.numpy()}, sizes=given)
        for name, array in expected.items():
            torch.testing.assert_close(found[name].detach(), torch.from_numpy(array), **CLOSE)
    if chunks > 1:
        as_compiled: Any = torch.compile(net, fullgraph=True, dynamic=True, backend="eager")
        torch.testing.assert_close(as_compiled({"b": b}, wanted, given), found, **CLOSE)
        exported = torch.export.export(net, ({"b": b}, wanted, given), strict=True)
        torch.testing.assert_close(exported.module()({"b": b}, wanted, given), found, **CLOSE)
    some = net({"b": b}, {"grid": torch.tensor([1]), "inside": points}, {"n": 4})
    assert set(some) == {"grid", "inside", "label"}
    a = {"a": torch.zeros(3, 4, 2), "b": b}
    assert net(a, wanted, {"n": 4})["grid"].shape == (3, 4, 4, 2)
    wrong: list[tuple[dict[str, torch.Tensor], Any, str]] = [
        ({"b": b}, {"n": 1}, "the size `n` is 1, and may be 2 to 9"),
        ({"b": b}, {"n": 2.5}, "the size `n` is 2.5"),
        ({"b": b}, {"m": 2}, "there is no size `m`, only n, k"),
        (a, {"n": 5}, "`n` is given as 5, and is 4 in the inputs"),
    ]
    for inputs, sizes, message in wrong:
        with pytest.raises(ValueError, match=message):
            net(inputs, wanted, sizes)
        with pytest.raises(ValueError, match=message):
            net.encode(inputs, sizes)
    with pytest.raises(ValueError, match=r"give queries.* \{'inside': POINTS\}$"):
        net({"b": b})


@pytest.mark.filterwarnings("ignore:`torch.jit.trace")
def test_a_module_of_several_inputs_is_traced(net: Any) -> None:
    trace: Any = torch.jit.trace
    traced = trace(net, (inputs(12),), strict=False)
    for given in (inputs(12), inputs(12, batch=3)):
        torch.testing.assert_close(traced(given), net(given), **CLOSE)


def test_what_is_compiled_makes_no_checks() -> None:
    """Not of what is asked for either: each statement that refuses stands under the same condition."""
    text = emit(lowered(LEFT_OUT.replace("CHUNKS", "1")))
    (root,) = (
        n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == "LeftOut"
    )
    methods = {n.name: n for n in root.body if isinstance(n, ast.FunctionDef) and n.name != "check"}
    guarded = [
        call
        for method in methods.values()
        for node in ast.walk(method)
        if isinstance(node, ast.If) and "is_compiling" in ast.unparse(node.test)
        for call in _checks(node)
    ]
    assert guarded
    assert guarded == [call for method in methods.values() for call in _checks(method)]


def _checks(node: ast.AST) -> list[str]:
    calls = (ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.Call))
    return [call for call in calls if call.startswith(("refuse_", "check_", "self.check"))]
