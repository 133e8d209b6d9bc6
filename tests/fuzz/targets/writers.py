"""Causal models: specs that are changed, ids and texts that they go on with, settings of the sampling."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping
from functools import cache

import numpy as np

from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.render import render_yaml, resolved_data
from tests.fuzz.case import Commands, Files
from tests.fuzz.damage import scrambled
from tests.fuzz.judge import PROMISED
from tests.fuzz.targets.specs import SCRAPS, is_small
from tests.small import SMALL
from tests.test_generation import VARIANTS

_TEXT = """\
perceiver: 1
name: writer
dims: {length: {min: 4, max: 24}}
inputs:
  text:
    shape: {place: length}
    steps: [{embedding: {vocabulary: 262, width: 8}}]
    position: {learned: {}, combine: add}
    media: {text: {}}
latents: {of: text, last: 4}
encode: {heads: 2, causal: true}
process: {layers: 1, heads: 2, causal: true}
outputs:
  next: {query: latents, head: {tied_embedding: text}}
"""
_SCRAPS = [
    *SCRAPS,
    *("causal: true", "causal: false", "last: 3", "min: 2", "max: 5", "layers: 0", "heads: 1"),
    *("cross_attends: 2", "blocks: 2", "attention_mask: true", "tied_embedding: text"),
    *("keys: [inputs, latents]", "base: 3", "values: true", "vocabulary: 262", "linear: 11"),
]
_TEXTS = ("", "a", "Grüße", "once upon a time there was", "[MASK*3]", "\n", "é" * 40, "\udcff", "-")
_SETTINGS = (
    *(["--temperature", value] for value in ("0", "1", "1e-30", "1e30", "inf", "nan", "-1")),
    *(["--top-p", value] for value in ("0", "1", "1e-9", "0.5", "nan")),
    *(["--top-k", value] for value in ("1", "2", "99999999", "0")),
    *(["--seed", value] for value in ("0", "99999999999999999999999")),
)


class Target:
    """What is accepted compiles, and goes on with a text, or is told why not."""

    name = "writers"

    def bases(self) -> Mapping[str, Files]:
        """The models of the tests of generation, that of a library, and one of texts."""
        return _bases()

    def step(self, files: Files, chance: random.Random) -> Files:
        """A change of the spec, or other ids."""
        if chance.random() < 0.6:
            return {**files, "a.yaml": scrambled(files["a.yaml"], _SCRAPS, chance)}
        return {**files, "ids.npz": _ids(chance)}

    def commands(self, base: str, files: Files, chance: random.Random) -> Commands:
        """Compile, and let it write; one in four is run as any other model is."""
        if not is_small(files["a.yaml"]):
            return [["check", "a.yaml"]]
        level = chance.choice(("0", "2", "2"))
        made = [PROMISED, "compile", "a.yaml", "-o", "a", "-O", level]
        if chance.random() < 0.25:
            random_run = [PROMISED, "run", "a", "--random", "-o", "out.npz", "--device", "cpu"]
            return [["check", "a.yaml"], made, random_run]
        given = ["--inputs", "ids.npz"]
        if base == "of texts":
            given = [text] if (text := chance.choice(_TEXTS)) else given
        run = ["run", "a", *given, "--generate", chance.choice(("0", "1", "9", "30"))]
        for words in chance.sample(_SETTINGS, chance.choice((0, 0, 1, 2))):
            run += words
        return [["check", "a.yaml"], made, [*run, "--device", "cpu"]]


@cache
def _bases() -> Mapping[str, Files]:
    spec = load_spec("perceiver_ar", overrides=list(SMALL["perceiver_ar"])).spec
    texts = {**VARIANTS, "of texts": _TEXT, "library": render_yaml(resolved_data(spec, {}))}
    ids = _ids(random.Random(0))
    return {name: {"a.yaml": text.encode(), "ids.npz": ids} for name, text in texts.items()}


def _ids(chance: random.Random) -> bytes:
    """Ids of some length, and what may stand beside them, or ought not to."""
    rng = np.random.default_rng(chance.getrandbits(32))
    batch, length = chance.choice((1, 1, 2)), chance.choice((0, 1, 2, 5, 11, 12, 13, 30))
    kind = chance.choice((np.int64, np.int64, np.int32, np.uint8, np.float32))
    highest = chance.choice((11, 11, 11, 300))
    arrays = {"text": rng.integers(0, highest, (batch, length)).astype(kind)}
    if chance.random() < 0.3:
        arrays["text.attention_mask"] = rng.integers(0, 2, (batch, length)).astype(bool)
    if chance.random() < 0.4:
        arrays["picture"] = rng.standard_normal((batch, 3, 8)).astype(np.float32)
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()
