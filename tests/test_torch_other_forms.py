"""Tensors in another form, given to an emitted model: what is told gives the number that programs give."""

from __future__ import annotations

import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.backends.torch.library import checks, ways
from perceiver_graph.spec.loader import parse_spec
from tests.test_arrays_of_other_kinds import IDS, JOINTS, MASK, PAIR, SPEC, rows

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 4, 6, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A program, and the module with its weights."""
    shape = "image: {shape: {height: 4, width: 6, channel: 3}"
    compiled = pg.compile(parse_spec(SPEC.replace(shape, f"{shape}, media: {{image: {{}}}}")))
    net: Any = compiled.to_torch()
    with torch.no_grad():
        for one in net.parameters():
            one.add_(torch.randn(one.shape, generator=torch.Generator().manual_seed(0)))
    folder: Path = tmp_path_factory.mktemp("both") / "artifact"
    compiled.save(folder, weights=net)
    return pg.load(folder, device="cpu"), net


def told(net: Any, given: dict[str, Any]) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        net(given)
    return str(caught.value)


def agree(both: Any, tensors: dict[str, Any], arrays: dict[str, Any]) -> None:
    program, net = both
    found = net(tensors)["label"].detach()
    np.testing.assert_allclose(found, program.run(arrays)["label"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "array", "given"),
    [
        ("joints", JOINTS, JOINTS.reshape(2, 7, 15)),
        ("joints", JOINTS[:1], JOINTS[0].reshape(7, 15)),
        ("joints", JOINTS, JOINTS[:, None]),
        ("image", PIXELS / 255, (PIXELS / 255).reshape(2, 24, 3)),
        ("image", PIXELS / 255, (PIXELS / 255).reshape(2, 4, 18)),
        ("image", PIXELS[:1] / 255, (PIXELS[:1] / 255).reshape(24, 3)),
        ("text", IDS, IDS[..., None]),
        ("text", IDS, rows(IDS, np.float32)),
        ("text", IDS, rows(IDS, np.int64)),
        ("pair", PAIR, PAIR[..., 0]),
    ],
)
def test_what_is_told_of_axes_and_ids(name: str, array: Any, given: Any, both: Any) -> None:
    program, net = both
    x = torch.as_tensor(given)
    way = re.search("; .*?`(.*?)`", told(net, {name: x}))
    assert way
    made = eval(way[1], {name: x, "torch": torch, "OTHER": torch.as_tensor(PAIR[..., 1])})
    agree(both, {name: made}, {name: array})
    with pytest.raises(
        pg.DiagnosticError
    ) as caught:  # the program has a way wherever the module has
        program.run({name: given})
    assert caught.value.diagnostics[0].help


def test_a_mask_of_each_number(both: Any) -> None:
    x, given = torch.as_tensor(JOINTS), torch.as_tensor(np.stack([MASK, MASK | True], -1))
    help = told(both[1], {"joints": x, "joints.attention_mask": given})
    assert "`attention_mask.all(-1)` fits" in help
    arrays = {"joints": JOINTS, "joints.attention_mask": MASK}
    agree(both, {"joints": x, "joints.attention_mask": given.all(-1)}, arrays)


def test_pixels_as_files_have_them_are_told_whatever_their_kind(both: Any) -> None:
    _, net = both
    image = torch.as_tensor(PIXELS)
    for batch in (1, 2):
        with pytest.warns(
            UserWarning, match="`image` has numbers far beyond -2.12 to 2.64"
        ) as seen:
            net({"image": image[:batch]})
    way = re.search("`([^`]*)`$", str(seen[0].message))
    assert way
    scaled = eval(way[1], {"torch": torch, "image": image})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net({"image": torch.randn(8, 4, 6, 3)})
        agree(both, {"image": scaled}, {"image": scaled.numpy()})
        compiled: Any = torch.compile(net, fullgraph=True, backend="eager")
        compiled({"image": image})
        torch.export.export(net, ({"image": image},))


def test_numbers_on_a_gpu_are_looked_at_in_the_first_calls_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(checks, "ends_of", looked.append)
    x = torch.zeros(1, 4, device="meta")
    for _ in range(5):
        checks.check_scaled({"x": x}, "x", "x / 255 of this test", (0.0, 1.0))
    assert len(looked) == checks.LOOKED_AT


def alone(net: Any, name: str, x: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = net({name: x[None]})["label"][0]
    return found


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_what_torch_maps_over_is_computed(both: Any) -> None:
    _, net = both
    for name, x in (("joints", torch.as_tensor(JOINTS)), ("text", torch.as_tensor(IDS))):
        one: Any = partial(alone, net, name)
        mapped = torch.vmap(one)(x)
        torch.testing.assert_close(mapped, net({name: x})["label"])


KINDS: dict[str, Any] = {
    "array": lambda x: x,
    "wide": lambda x: x.astype(float),
    "lists": lambda x: x.tolist(),
    "tensors": lambda x: [*torch.as_tensor(x)],
    "masked": np.ma.masked_array,
    "sparse": lambda x: torch.as_tensor(x).to_sparse(),
    "buffer": memoryview,
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_tensor_becomes_one_as_told(kind: str, both: Any) -> None:
    given = KINDS[kind](JOINTS)
    way = re.search(r"takes ((?:torch|joints)\..*?)(?:, or .*)?$", told(both[1], {"joints": given}))
    assert way
    made = eval(way[1], {"torch": torch, "numpy": np, "joints": given})
    agree(both, {"joints": made}, {"joints": JOINTS})


def test_texts_and_nested_tensors_are_told_of(both: Any) -> None:
    assert "`perceiver_graph.load(DIR).read(" in told(both[1], {"text": "hello"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nested = torch.nested.nested_tensor([torch.as_tensor(one) for one in JOINTS])
    assert "to_padded_tensor(joints, 0), with a mask" in told(both[1], {"joints": nested})


def test_names_of_others(both: Any) -> None:
    _, net = both
    x = torch.as_tensor(JOINTS)
    mask = torch.as_tensor(MASK)
    for name in ("attention_mask", "joints_attention_mask"):
        with pytest.raises(ValueError, match=r'; in the dict it is `"joints\.attention_mask"`'):
            net(joints=x, **{name: mask})
    with pytest.raises(ValueError, match="the loss takes it"):
        net(joints=x, labels=x)
    assert ways.called_otherwise("pixel_values", ("image",)) == "; here it is called `image`"
