"""A causal model goes on with texts: what it writes with a cache is what comes of computing all anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.verify import verify
from perceiver_graph.compiler.passes.pipeline import Level
from perceiver_graph.runtime.generation import Window
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.sampling import Sampling
from perceiver_graph.spec.loader import parse_spec
from tests.test_differential import onnx_program, randomised

LATENTS, LONGEST, VOCABULARY = 4, 12, 11
SPEC = """\
perceiver: 1
name: writer
dims: {length: {min: 4, max: 12}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 11, width: 8}}]
    position: {learned: {}, combine: add}
    attention_mask: true
latents: {of: text, last: 4}
encode: {heads: 2, causal: true}
process: {layers: 2, heads: 2, causal: true}
outputs:
  next: {query: latents, head: {linear: 11}}
"""
PICTURE = """\
inputs:
  picture:
    shape: {row: 3, channel: 8}
"""
WAVES = (
    "width: 8}}]\n    position: {learned: {}, combine: add}",
    ("width: 9}}]\n    position: {fourier: {bands: 3, max_resolution: 12}, combine: concat}"),
)
TURNED = SPEC.replace(
    "    position: {learned: {}, combine: add}\n    attention_mask: true\n", ""
).replace("encode:", "layers: {rotary: true}\nencode:")
THEMSELVES = "causal: true}\nprocess", "causal: true, keys: [inputs, latents]}\nprocess"
VARIANTS = {
    "masked": SPEC,
    "plain": SPEC.replace("    attention_mask: true\n", ""),
    "tied": SPEC.replace("linear: 11", "tied_embedding: text"),
    "mapped": SPEC.replace("width: 8}}]", "width: 6}}, {linear: 8}]"),
    "waves": SPEC.replace(*WAVES).replace("bands: 3", "bands: 3, of: 12"),
    "again": SPEC.replace(
        "causal: true}\nprocess: {", "causal: true, cross_attends: 2}\nprocess: {blocks: 2, "
    ),
    "styled": SPEC.replace(
        "encode:",
        "layers: {norm: rms_norm, bias: false, gated: true, qk_norm: layer_norm, key_heads: 1}\nencode:",
    ),
    "rotary": SPEC.replace("    position: {learned: {}, combine: add}\n", "").replace(
        "encode:", "layers: {rotary: {fraction: 0.5, pairs: halves, values: true}}\nencode:"
    ),
    "read only": SPEC.replace(
        "process: {layers: 2, heads: 2, causal: true}", "process: {layers: 0}"
    ),
    "of latents alone": SPEC.replace(
        "encode: {heads: 2, causal: true}", "encode: {cross_attends: 0}"
    ),
    "turned": TURNED,
    "turned, values too": TURNED.replace("rotary: true", "rotary: {fraction: 0.5, values: true}"),
    "turned behind a picture": TURNED.replace("inputs:\n", PICTURE),
    "read themselves": SPEC.replace(*THEMSELVES).replace("min: 4", "min: 5"),
    "turned, read themselves": TURNED.replace(*THEMSELVES).replace("min: 4", "min: 5"),
    "behind a picture": SPEC.replace("inputs:\n", PICTURE).replace(
        "    attention_mask: true\n", ""
    ),
    "behind a masked picture": SPEC.replace("inputs:\n", PICTURE).replace(
        "channel: 8}", "channel: 8}\n    attention_mask: true"
    ),
}


def others(name: str, batch: int) -> dict[str, Array]:
    """What is given beside the text."""
    if "picture" not in name:
        return {}
    picture = np.random.default_rng(7).standard_normal((batch, 3, 8), np.float32)
    mask = {"picture.attention_mask": np.array([[1, 0, 1]] * batch, bool)}
    return {"picture": picture} | (mask if "masked" in name else {})


class Anew:
    """The same model with any number of latents, computed by numpy from the beginning for each token."""

    def __init__(self, text: str) -> None:
        self.model = pg.compile(parse_spec(text, "writer.yaml"), level=0)
        self.weights = randomised(self.model, 5)
        self.text = text
        self.graph = cache(self._graph)

    def _graph(self, latents: int) -> Any:
        least = latents + ("keys" in self.text)  # there is a token before them then
        text = self.text.replace("last: 4", f"last: {latents}").replace("min: 5", "min: 4")
        text = text.replace("min: 4", f"min: {least}")
        return pg.compile(parse_spec(text, "writer.yaml"), level=0).graph

    def scores(self, ids: Array, mask: Array, latents: int, beside: Mapping[str, Array]) -> Array:
        arrays = {"text": ids, "text.attention_mask": mask, **beside}
        return evaluate(self.graph(latents), arrays, self.weights)["next"][:, -1]

    def write(
        self,
        ids: Array,
        schedule: list[tuple[int, int]],
        sampling: Sampling,
        mask: Array | None = None,
        beside: Mapping[str, Array] | None = None,
    ) -> Array:
        """The tokens behind a text where so many of its last tokens are read with so many latents."""
        rng, found = np.random.default_rng(3), []
        mask = np.ones(ids.shape, bool) if mask is None else mask
        for kept, latents in schedule:
            scores = self.scores(ids[:, -kept:], mask[:, -kept:], latents, beside or {})
            found.append(sampling.draw(scores, rng))
            ids = np.concatenate([ids, found[-1][:, None]], axis=1)
            mask = np.concatenate([mask, np.ones((len(mask), 1), bool)], axis=1)
        return np.stack(found, axis=1)


def schedule(tokens: int, count: int) -> list[tuple[int, int]]:
    """How many tokens are read, with how many latents, for each token that is written."""
    found = [(tokens, min(tokens, LATENTS))]
    while len(found) < count:
        tokens, latents = found[-1]
        if latents < LATENTS and tokens < LONGEST:
            found.append((tokens + 1, latents + 1))
        else:  # half of the latents, and room for as many more
            found.append((min(tokens + 1, LONGEST - 2), 2))
    return found


def texts(batch: int, length: int) -> Array:
    return np.random.default_rng(length).integers(0, VOCABULARY, (batch, length))


def written(pieces: Iterator[Array]) -> Array:
    return np.stack(list(pieces), axis=1)


@pytest.fixture(scope="module")
def anew() -> Anew:
    return Anew(SPEC)


@pytest.fixture(scope="module")
def program(anew: Anew, tmp_path_factory: pytest.TempPathFactory) -> Program:
    made: Program = onnx_program(anew.model, anew.weights, tmp_path_factory.mktemp("writer"))
    return made


def test_latents_are_added_until_there_are_no_more_and_then_half_of_them() -> None:
    said = [
        (3, 3),
        (4, 4),
        (5, 2),
        (6, 3),
        (7, 4),
        (8, 2),
        (9, 3),
        (10, 4),
        (10, 2),
        (11, 3),
        (12, 4),
    ]
    assert schedule(3, 13) == [*said, (10, 2), (11, 3)]
    window, tokens, latents, found = Window(4, 12), 3, 3, [(3, 3)]
    while len(found) < 13:
        if window.moves(tokens, latents):
            tokens, latents = window.anew(tokens + 1)
        else:
            tokens, latents = tokens + 1, latents + 1
        found.append((tokens, latents))
    assert found == schedule(3, 13)


@pytest.mark.parametrize("sampling", [Sampling(0), Sampling(0.9, 0.95, 8)], ids=["greedy", "drawn"])
@pytest.mark.parametrize("length", [1, 3, 4, 5, 11, 12])
def test_it_writes_what_comes_of_computing_all_anew(
    anew: Anew, program: Program, length: int, sampling: Sampling
) -> None:
    ids = texts(2, length)
    found = written(program.generate(ids, 20, seed=3, **asdict(sampling)))
    np.testing.assert_array_equal(found, anew.write(ids, schedule(length, 20), sampling))


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("name", VARIANTS)
def test_so_do_others(name: str, level: Level, tmp_path: Path) -> None:
    anew = Anew(VARIANTS[name])
    model = pg.compile(parse_spec(VARIANTS[name], "writer.yaml"), level=level, verify=True)
    assert model.writing is not None
    assert model.writing.refused == ""
    for graph in model.writing.programs.values():
        verify(graph, "program")
    program = onnx_program(model, anew.weights, tmp_path)
    length = 5 if "themselves" in name else 3
    ids, beside = texts(2, length), others(name, 2)
    found = written(program.generate(ids, 14, inputs=beside, temperature=1.5, seed=3))
    expected = anew.write(ids, schedule(length, 14), Sampling(1.5), beside=beside)
    np.testing.assert_array_equal(found, expected)


def test_what_is_kept_is_known_before_it_is_there(anew: Anew) -> None:
    """Keys and values of 12 tokens and twice of 4 latents, 8 numbers each, and a bit of each for masks."""
    assert anew.model.writing is not None
    assert anew.model.writing.cache_bytes == (12 + 2 * 4) * 2 * 8 * 4 + 12 + 4


def test_texts_of_a_batch_may_be_filled_up_in_front(anew: Anew, program: Program) -> None:
    ids, mask = texts(2, 6), np.ones((2, 6), bool)
    mask[1, :3] = False
    given = {"text.attention_mask": mask}
    found = written(program.generate(ids, 12, inputs=given, seed=3))
    expected = anew.write(ids, schedule(6, 12), Sampling(), mask)
    np.testing.assert_array_equal(found, expected)
    assert (found[1] != written(program.generate(ids, 12, seed=3))[1]).any()
    with pytest.raises(pg.DiagnosticError, match="PG514"):
        program.generate(ids, 12, inputs={"text.attention_mask": mask[:, ::-1]})


@pytest.mark.parametrize("rotary", [True, False])
def test_what_fills_a_text_up_counts_in_positions_unless_they_are_rotary(
    rotary: bool, tmp_path: Path
) -> None:
    turned = SPEC.replace("    position: {learned: {}, combine: add}\n", "").replace(
        "encode:", "layers: {rotary: true}\nencode:"
    )
    counted = SPEC.replace("learned: {}", "learned: {init_scale: 1}")
    pg.compile(parse_spec(turned if rotary else counted, "w.yaml")).save(tmp_path / "out")
    program = pg.load(tmp_path / "out", device="cpu")
    ids, mask = texts(1, 5), np.ones((1, 8), bool)
    mask[:, :3] = False
    padded = np.pad(ids, ((0, 0), (3, 0)))
    alone = program.run({"text": ids})["next"]
    found = program.run({"text": padded, "text.attention_mask": mask})["next"]
    assert np.allclose(found, alone, rtol=1e-4, atol=1e-5) == rotary


def test_what_is_wrong_is_told_before_the_first_token(program: Program) -> None:
    ids = texts(1, 3)
    with pytest.raises(pg.DiagnosticError, match="PG514"):
        program.generate(texts(1, 13), 1)
    with pytest.raises(pg.DiagnosticError, match="PG514"):
        program.generate(ids + 100, 1)
    with pytest.raises(pg.DiagnosticError, match=r"PG518.*goes on with ids"):
        program.generate("Once", 1)
    wrong: list[dict[str, Any]] = [{"temperature": -1}, {"top_p": 0}, {"top_k": 0}, {"seed": -1}]
    for settings in wrong:
        with pytest.raises(ValueError, match=next(iter(settings))):
            program.generate(ids, 1, **settings)
    with pytest.raises(TypeError, match="other inputs are `inputs`"):
        program.generate({"text": ids}, 1)  # type: ignore[call-overload]
    assert list(program.generate(ids, 0)) == []


def test_a_text_without_a_token_is_told_as_such(program: Program) -> None:
    with pytest.raises(pg.DiagnosticError, match=r"no token to go on with(.|\n)*\[\[1\]\]"):
        program.generate(np.zeros((1, 0), np.int64), 3)
    assert len([*program.generate([[1]], 3)]) == 3


def test_half_precision_keeps_its_cache_in_half_precision(anew: Anew, tmp_path: Path) -> None:
    model = pg.compile(parse_spec(SPEC, "w.yaml"), device="cuda", precision="fp16")
    program = onnx_program(model, anew.weights, tmp_path)
    ids = texts(2, 3)
    found = written(program.generate(ids, 14, temperature=0))
    np.testing.assert_array_equal(found, anew.write(ids, schedule(3, 14), Sampling(0)))


def test_it_stops_where_every_text_has_ended(program: Program) -> None:
    ids = texts(2, 3)
    whole = written(program.generate(ids, 20, temperature=1.2))
    stop = {int(whole[0, 2]), int(whole[1, 5])}
    ends = [next(i for i, one in enumerate(row) if one in stop) for row in whole]
    found = written(program.generate(ids, 20, temperature=1.2, stop=stop))
    assert found.shape == (2, max(ends) + 1)
    for row, before, end in zip(found, whole, ends, strict=True):
        assert row.tolist() == [*before[: end + 1], *[before[end]] * (max(ends) - end)]


def test_a_text_ends_at_ids_alone(program: Program) -> None:
    for wrong, error in (([1, 999], ValueError), ([-1], ValueError), ([0.5], TypeError)):
        with pytest.raises(error, match=r"^stop"):
            program.generate([[1, 2]], 3, stop=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^stop must be a collection"):
        program.generate([[1, 2]], 3, stop="0")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (WAVES, "over the whole text"),
        (("linear: 11", "linear: 5"), "no output with `query: latents` has scores"),
        (("place: length", "place: 12"), "does not grow"),
        (
            ("process: {layers: 2, heads: 2, causal: true}", "process: {layers: 2, heads: 2}"),
            "`process` is not causal",
        ),
    ],
)
def test_why_a_model_writes_none(change: tuple[str, str], why: str, tmp_path: Path) -> None:
    model = pg.compile(parse_spec(SPEC.replace(*change), "writer.yaml"))
    manifest = model.save(tmp_path / "out")
    program = pg.load(tmp_path / "out", device="cpu")
    assert set(manifest.programs) >= {"encode"}
    assert not {"prefill", "step"} & set(manifest.programs)
    with pytest.raises(
        pg.DiagnosticError, match=f"PG518.*{why if manifest.generation else 'latents'}"
    ):
        program.generate(texts(1, 3), 3)


def test_one_token_alone_is_no_text_that_grows(tmp_path: Path) -> None:
    """Which has no axis."""
    change = SPEC.replace("{place: length}", "{}").replace("last: 4", "last: 1")
    spec = change.replace(
        "    position: {learned: {}, combine: add}\n    attention_mask: true\n", ""
    )
    spec = spec.replace("inputs:\n", PICTURE).replace("dims: {length: {min: 4, max: 12}}\n", "")
    manifest = pg.compile(parse_spec(spec, "writer.yaml")).save(tmp_path / "out")
    assert manifest.generation
    assert manifest.generation.longest == 1
    assert "does not grow" in (manifest.generation.refused or "")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("    attention_mask: true\n", "    mask: optional\n"), "write `mask: never`"),
        (
            ("{learned: {}, combine: add}\n    attention_mask: true", "{rotary: {given: [t]}}"),
            "reads `text.position` for each token",
        ),
    ],
)
def test_what_no_step_can_have_leaves_an_artifact_that_runs(
    change: tuple[str, str], why: str, tmp_path: Path
) -> None:
    spec = SPEC.replace(*change)
    if "rotary" in spec:
        spec = spec.replace("encode:", "layers: {rotary: true}\nencode:")
    model = pg.compile(parse_spec(spec))
    assert model.writing is not None
    assert why in model.writing.refused
    model.save(tmp_path / "artifact", seed=1)
    program = pg.load(tmp_path / "artifact", device="cpu")
    beside = {"text.position": np.zeros((2, 5, 1), np.float32)} if "rotary" in spec else {}
    assert program.run({"text": texts(2, 5), **beside})["next"].shape == (2, 4, 11)
    with pytest.raises(pg.DiagnosticError, match=why):
        next(program.generate(texts(2, 5), 3))
