"""The emitted module goes on with texts: with its cache it writes what comes of computing all anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.compiler.backends.torch.library.generation import token_sampler
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.runtime.sampling import Sampling
from perceiver_graph.spec.loader import parse_spec
from tests.test_generation import (
    LATENTS,
    LONGEST,
    SPEC,
    VARIANTS,
    VOCABULARY,
    Anew,
    others,
    schedule,
    texts,
)
from tests.torch_support import assert_clean

DRAWN = Sampling(1.2, 0.95, 8)


class Anew2(Anew):
    """Computed anew by numpy, and drawn as torch draws."""

    def drawn(self, ids: Array, plan: list[tuple[int, int]], how: Sampling, **given: Any) -> Array:
        mask = given.get("mask", np.ones(ids.shape, bool))
        draw = token_sampler(how.temperature, how.top_p, how.top_k, 3)
        for kept, latents in plan:
            found = self.scores(ids[:, -kept:], mask[:, -kept:], latents, given.get("beside", {}))
            ids = np.concatenate([ids, draw(torch.from_numpy(found))[:, None].numpy()], axis=1)
            mask = np.concatenate([mask, np.ones((len(mask), 1), bool)], axis=1)
        return ids[:, -len(plan) :]


@pytest.fixture(scope="module")
def anew() -> Anew2:
    return Anew2(SPEC)


@pytest.fixture(scope="module")
def model(anew: Anew2) -> Any:
    return anew.model.to_torch(anew.weights)


def written(model: Any, ids: Array, tokens: int, how: Sampling = DRAWN, **given: Any) -> Array:
    settings = {"temperature": how.temperature, "top_p": how.top_p, "top_k": how.top_k, "seed": 3}
    pieces = list(model.generate(torch.from_numpy(ids), tokens, **{**settings, **given}))
    assert all(piece.dtype == torch.int64 for piece in pieces)
    return np.stack([piece.numpy() for piece in pieces], axis=1)


@pytest.mark.parametrize("how", [Sampling(0), DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize("length", [1, 3, 4, 5, 11, 12])
def test_it_writes_what_comes_of_computing_all_anew(
    anew: Anew2, model: Any, length: int, how: Sampling
) -> None:
    ids = texts(2, length)
    expected = anew.drawn(ids, schedule(length, 20), how)
    np.testing.assert_array_equal(written(model, ids, 20, how), expected)


BLOCKS = SPEC.replace("process: {layers: 2", "process: {layers: 1, blocks: 3")


@pytest.mark.parametrize("name", [*VARIANTS, "blocks"])
def test_so_do_others(name: str) -> None:
    anew = Anew2({**VARIANTS, "blocks": BLOCKS}[name])
    assert_clean(anew.model.torch_source())
    model: Any = anew.model.to_torch(anew.weights)
    length = 5 if "themselves" in name else 3
    ids, beside = texts(2, length), others(name, 2)
    given = {key: torch.from_numpy(array) for key, array in beside.items()}
    for how in (Sampling(0), DRAWN):
        found = written(model, ids, 14, how, inputs=given)
        expected = anew.drawn(ids, schedule(length, 14), how, beside=beside)
        np.testing.assert_array_equal(found, expected)


def test_all_three_have_the_same_weights(anew: Anew2, model: Any) -> None:
    assert set(model.state_dict()) == {leaf.value.name for leaf in anew.model.graph.parameters}
    source = anew.model.torch_source()
    assert source.count("nn.Parameter(") == 1  # of the table of positions
    assert "for i, layer in enumerate(self.layers):" in source
    ids = torch.from_numpy(texts(1, 3))
    before = model.prefill({"text": ids}, 3)[0]
    with torch.no_grad():
        model.heads["next"].linear.bias[7] += 100
        try:
            assert written(model, ids.numpy(), 6, Sampling(0)).tolist() == [[7] * 6]
        finally:
            model.heads["next"].linear.bias[7] -= 100
    torch.testing.assert_close(model.prefill({"text": ids}, 3)[0], before)


def test_a_step_leaves_the_cache_that_it_is_given(anew: Anew2, model: Any) -> None:
    """So that texts may branch."""
    ids = torch.from_numpy(texts(2, 3))
    _, cache = model.prefill({"text": ids[:, :2]}, 2)
    shapes = {name: x.shape for name, x in cache.items()}
    place = torch.tensor([2])
    first, longer = model.step({"text": ids[:, 2:]}, place, cache)
    assert {name: x.shape for name, x in cache.items()} == shapes
    assert longer.keys() == cache.keys()
    again, _ = model.step({"text": ids[:, 2:]}, place, cache)
    torch.testing.assert_close(first, again)
    torch.testing.assert_close(first, model.prefill({"text": ids}, 3)[0])


def test_texts_of_a_batch_may_be_filled_up_in_front(anew: Anew2, model: Any) -> None:
    ids, mask = texts(2, 6), np.ones((2, 6), bool)
    mask[1, :3] = False
    given = {"text.attention_mask": torch.from_numpy(mask)}
    found = written(model, ids, 12, inputs=given)
    np.testing.assert_array_equal(found, anew.drawn(ids, schedule(6, 12), DRAWN, mask=mask))
    inputs = {"text": torch.from_numpy(ids)}
    masked, whole = (model.prefill(x, 4)[0] for x in (inputs | given, inputs))
    torch.testing.assert_close(masked[0], whole[0])
    assert not torch.allclose(masked[1], whole[1])
    with pytest.raises(ValueError, match="leaves out the last token"):
        model.generate(ids, 1, inputs={"text.attention_mask": given["text.attention_mask"].flip(1)})


def test_it_writes_in_eval_mode_and_without_gradients_and_leaves_the_mode() -> None:
    text = SPEC.replace("encode:", "layers: {dropout: 0.5}\nencode:")
    anew = Anew2(text)
    model: Any = anew.model.to_torch(anew.weights)
    ids = texts(2, 3)
    expected = written(model, ids, 8)
    model.train()
    model.process.eval()  # as one freezes a part
    modes = {name: module.training for name, module in model.named_modules()}
    np.testing.assert_array_equal(written(model, ids, 8), expected)
    assert {name: module.training for name, module in model.named_modules()} == modes
    for token in model.generate(ids, 2):
        assert model.training
        assert torch.is_grad_enabled()
        assert not token.requires_grad


def test_what_is_wrong_is_told_before_the_first_token(model: Any) -> None:
    ids = torch.from_numpy(texts(1, 3))
    wrong: list[tuple[Any, str]] = [
        (torch.zeros(1, LONGEST + 1, dtype=torch.int64), "may be 1 to 12"),
        (ids + VOCABULARY, f"takes 0 to {VOCABULARY - 1}"),
        (ids.float(), "whole numbers"),
        (ids[0], "shape"),
    ]
    for begin, why in wrong:
        with pytest.raises(ValueError, match=why):
            model.generate(begin, 1)
    for name, value in (("temperature", -1), ("top_p", 0), ("top_k", 0), ("seed", -1)):
        with pytest.raises(ValueError, match=name):
            model.generate(ids, 1, **{name: value})
    with pytest.raises(ValueError, match="tokens must be"):
        model.generate(ids, -1)
    with pytest.raises(ValueError, match="there is no input `txt`"):
        model.generate(ids, 1, inputs={"txt": ids})
    with pytest.raises(ValueError, match=r"stop holds 11, and takes 0 to 10"):
        model.generate(ids, 1, stop=[11])
    with pytest.raises(TypeError, match=r"stop must be a collection"):
        model.generate(ids, 1, stop="0")
    assert list(model.generate(ids, 0)) == []
    assert [len(token) for token in model.generate([[1, 2], [3, 4]], 1)] == [2]


def test_scores_that_overflow_are_told(anew: Anew2) -> None:
    model: Any = anew.model.to_torch(anew.weights)
    model.heads["next"].linear.bias.data[0] = torch.nan
    with pytest.raises(ValueError, match="not all finite"):
        next(model.generate([[1, 2]], 1))


def test_it_stops_where_every_text_has_ended(model: Any) -> None:
    ids = texts(2, 3)
    whole = written(model, ids, 20)
    stop = {int(whole[0, 2]), int(whole[1, 5])}
    ends = [next(i for i, one in enumerate(row) if one in stop) for row in whole]
    found = written(model, ids, 20, stop=stop)
    assert found.shape == (2, max(ends) + 1)
    for row, before, end in zip(found, whole, ends, strict=True):
        assert row.tolist() == [*before[: end + 1], *[before[end]] * (max(ends) - end)]


def test_tokens_are_drawn_as_often_as_they_are_probable() -> None:
    scores = np.array([[2.0, 1.0, 0.0, 1.5, -3.0]], np.float32)
    rows = torch.from_numpy(scores).expand(20_000, -1)
    for how in (
        Sampling(),
        Sampling(0.7),
        Sampling(1, 0.7),
        Sampling(2, 1, 3),
        Sampling(1, 0.6, 3),
    ):
        drawn = token_sampler(how.temperature, how.top_p, how.top_k, 0)(rows)
        shares = np.bincount(drawn, minlength=5) / len(drawn)
        expected = how.probabilities(scores)[0]
        np.testing.assert_allclose(shares, expected, atol=0.02)
        assert (shares[expected == 0] == 0).all()
    assert (token_sampler(1e-320, 1, None, 0)(rows) == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_cache_has_the_dtype_of_the_module(anew: Anew2, dtype: torch.dtype) -> None:
    model: Any = anew.model.to_torch(anew.weights).to(dtype)
    scores, cache = model.prefill({"text": torch.from_numpy(texts(2, 3))}, 3)
    assert scores.dtype == dtype
    assert {x.dtype for x in cache.values()} == {dtype, torch.bool}
    assert written(model, texts(2, 3), 14).shape == (2, 14)


def test_a_step_may_be_compiled(anew: Anew2) -> None:
    model: Any = anew.model.to_torch(anew.weights)
    expected = written(model, texts(2, 3), 14)
    model.step = torch.compile(model.step, backend="eager", dynamic=True, fullgraph=True)
    np.testing.assert_array_equal(written(model, texts(2, 3), 14), expected)


def test_the_file_writes_by_itself(anew: Anew2, model: Any, tmp_path: Path) -> None:
    anew.model.save(tmp_path / "out", backends=("torch",), weights=anew.weights)
    code = (
        "import sys, model\n"
        "made = model.load()\n"
        "print([int(token) for token in made.generate([[1, 2, 3]], 6, temperature=0)])\n"
        "print([name for name in sys.modules if name.startswith('perceiver_graph')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "out",
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = written(model, np.array([[1, 2, 3]]), 6, Sampling(0))[0].tolist()
    assert done.stdout.splitlines() == [str(expected), "[]"]


@pytest.mark.parametrize("change", ["linear: 5", "place: 12"])
def test_a_model_that_writes_none_has_no_method_for_it(change: str) -> None:
    before = {"linear: 5": "linear: 11", "place: 12": "place: length"}[change]
    source = pg.compile(parse_spec(SPEC.replace(before, change), "writer.yaml")).torch_source()
    assert "generate" not in source
    assert "cache" not in source


def test_as_many_latents_as_there_are_are_read_at_most(model: Any) -> None:
    source = type(model).generate.__doc__ or ""
    assert f"of at most {LONGEST}" in " ".join(source.split())
    assert f"1 to {LATENTS}" in " ".join((type(model).prefill.__doc__ or "").split())
