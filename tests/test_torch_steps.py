"""Calls of `prefill` and `step` of emitted modules: what does not go on from what was read is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import perceiver_graph as pg
from perceiver_graph.spec.loader import parse_spec
from tests.test_generation import LATENTS, LONGEST, SPEC, VARIANTS, VOCABULARY

Cache = dict[str, torch.Tensor]
WIDE = SPEC.replace("width: 8", "width: 16")
DEEP = SPEC.replace("layers: 2", "layers: 3")


def module(text: str) -> Any:
    return pg.compile(parse_spec(text, "writer.yaml"), level=0).to_torch().eval()


@pytest.fixture(scope="module")
def model() -> Any:
    return module(SPEC)


def ids(batch: int, length: int) -> torch.Tensor:
    return torch.arange(batch * length).view(batch, length) % VOCABULARY


def left(model: Any, length: int = 3, latents: int | None = None, batch: int = 2) -> Cache:
    """What is kept of a text."""
    found: Cache = model.prefill({"text": ids(batch, length)}, latents or length)[1]
    return found


def at(place: int) -> torch.Tensor:
    return torch.tensor([place])


@pytest.mark.parametrize(
    ("latents", "error", "said"),
    [
        (0, ValueError, "latents must be a whole number from 1 to 3, latents of 3 tokens, not 0"),
        (4, ValueError, "from 1 to 3, latents of 3 tokens, not 4"),
        (-1, ValueError, "not -1"),
        (
            2.0,
            TypeError,
            "latents must be a whole number from 1 to 3, latents of 3 tokens, not 2.0",
        ),
        (True, TypeError, "not True"),
        (None, TypeError, "not None"),
        ("3", TypeError, "not '3'"),
    ],
)
def test_a_text_has_so_many_latents(
    latents: Any, error: type[Exception], said: str, model: Any
) -> None:
    with pytest.raises(error, match=said):
        model.prefill({"text": ids(2, 3)}, latents)


def test_of_a_longer_text_as_many_as_the_model_has(model: Any) -> None:
    with pytest.raises(ValueError, match=f"from 1 to {LATENTS}, latents of 9 tokens, not 5"):
        model.prefill({"text": ids(2, 9)}, LATENTS + 1)
    assert model.prefill({"text": ids(2, 9)}, torch.tensor(LATENTS))[0].shape == (2, 1, VOCABULARY)


@pytest.mark.parametrize(
    ("position", "error", "said"),
    [
        (at(2), ValueError, "position is 2, and behind 3 tokens comes 3"),
        (at(4), ValueError, "position is 4, and behind 3 tokens comes 3"),
        (at(-1), ValueError, "position is -1"),
        (torch.tensor([3, 3]), ValueError, r"must be a tensor, int64 \[1\], not torch.int64 \[2\]"),
        (torch.tensor(3), ValueError, r"int64 \[1\], not torch.int64 \[\]"),
        (torch.tensor([3.0]), ValueError, r"int64 \[1\], not torch.float32 \[1\]"),
        (3, TypeError, r"position must be a tensor, int64 \[1\], not 3"),
        (None, TypeError, "not None"),
    ],
)
def test_a_step_goes_on_where_the_text_ends(
    position: Any, error: type[Exception], said: str, model: Any
) -> None:
    with pytest.raises(error, match=said):
        model.step({"text": ids(2, 1)}, position, left(model))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": ids(2, 2)}, r"input `text` has shape \[2, 2\], expected \[batch any, \w+ 1\]"),
        ({"text": ids(2, 1)[0]}, "has shape"),
        ({"text": ids(2, 1).float()}, "takes whole numbers"),
        ({"text": ids(2, 1) + VOCABULARY}, f"takes 0 to {VOCABULARY - 1}"),
        ({}, "input `text` is missing"),
        ({"text": ids(2, 1), "picture": ids(2, 1)}, "there is no input `picture`"),
        ({"text": ids(2, 1), "text.attention_mask": torch.ones(2, 4)}, "has shape"),
    ],
)
def test_a_step_reads_one_token(given: Any, said: str, model: Any) -> None:
    with pytest.raises(ValueError, match=said):
        model.step(given, at(3), left(model))


def without(cache: Cache, name: str) -> Cache:
    return {key: x for key, x in cache.items() if key != name}


KEY = "process/layers.1/attention/key"
WRONG: dict[str, tuple[Callable[[Any], Any], type[Exception], str]] = {
    "another batch": (lambda m: left(m, batch=3), ValueError, r"\[3, 3, 8\], not \[2, 3, 8\]"),
    "wider": (lambda _: left(module(WIDE)), ValueError, r"\[2, 3, 16\], not \[2, 3, 8\]"),
    "more layers": (lambda _: left(module(DEEP)), ValueError, "holds `process/layers.2/"),
    "no entry": (lambda m: without(left(m), KEY), ValueError, f"holds no `{KEY}`"),
    "none": (lambda _: {}, ValueError, "holds no `"),
    "no tensor": (
        lambda m: left(m) | {KEY: 3},
        TypeError,
        f"`{KEY}` of the cache must be a tensor",
    ),
    "no dict": (lambda m: [*left(m).values()], TypeError, "cache must be what `prefill` or `step`"),
    "None": (lambda _: None, TypeError, "cache must be what `prefill` or `step`"),
    "of two texts": (
        lambda m: left(m) | {KEY: left(m, 2)[KEY]},
        ValueError,
        rf"`{KEY}` of the cache has shape \[2, 2, 8\], not \[2, 3, 8\]",
    ),
    "another dtype": (
        lambda m: {k: x.double() if x.is_floating_point() else x for k, x in left(m).items()},
        ValueError,
        "is torch.float64 on cpu, and the model computes in torch.float32 on cpu",
    ),
    "full": (
        lambda m: left(m, LATENTS),
        ValueError,
        f"has {LATENTS} latents, which are all there may be: `prefill` the text anew, with 2",
    ),
    "as long as a text is": (
        lambda m: left(m, LONGEST, 2),
        ValueError,
        f"is of {LONGEST} tokens, which are all that a text may have",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_step_takes_what_this_model_has_left(name: str, model: Any) -> None:
    cache, error, said = WRONG[name]
    with pytest.raises(error, match=said):
        model.step({"text": ids(2, 1)}, at(3), cache(model))


def test_behind_a_picture_positions_are_those_of_the_text() -> None:
    model = module(VARIANTS["behind a picture"])
    given = {"picture": torch.randn(2, 3, 8), "text": ids(2, 3)}
    cache = model.prefill(given, 3)[1]
    assert model.step({"text": ids(2, 1)}, at(3), cache)[0].shape == (2, 1, VOCABULARY)
    with pytest.raises(ValueError, match="position is 6, and behind 3 tokens comes 3"):
        model.step({"text": ids(2, 1)}, at(6), cache)


def test_where_tokens_are_not_kept_the_latents_are_before_the_position() -> None:
    model = module(VARIANTS["of latents alone"])
    cache = left(model, 7, 3)
    for place in (3, 7, LONGEST - 1):  # nothing says how many tokens there were
        model.step({"text": ids(2, 1)}, at(place), cache)
    for place in (2, LONGEST):
        with pytest.raises(ValueError, match=f"position is {place}, and may be 3 to {LONGEST - 1}"):
            model.step({"text": ids(2, 1)}, at(place), cache)


def test_what_is_compiled_checks_nothing(model: Any) -> None:
    step: Any = torch.compile(model.step, backend="eager", fullgraph=True)
    step({"text": ids(2, 1)}, at(5), left(model))


def test_a_causal_model_that_writes_none_says_why() -> None:
    model = pg.compile(parse_spec(SPEC.replace("linear: 11", "linear: 5"), "writer.yaml"))
    assert "It writes no text: no output with" in " ".join(model.torch_source().split())
    assert "writes no text" not in pg.compile(parse_spec(SPEC, "writer.yaml")).torch_source()
