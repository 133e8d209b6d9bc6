"""The embedding of columns of TabICL: the class of tabicl, but for the product that it ends with."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.family.harness import Case, Reference, draw, library, randomised


def _case(
    width: int, blocks: int, heads: int, hidden: int, points: int, seed: int, table: tuple[int, int]
) -> Case:
    columns, rows = table
    kind = library("tabicl._model.embedding", ["tabicl._model"]).ColEmbedding
    module = randomised(kind(width, blocks, heads, hidden, points), seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, columns, rows, 1))
    known = np.arange(rows) < rng.integers(1, rows + 1)  # the first rows are those to learn from
    mask = np.tile(known, (2, columns, 1))
    settings = (f"encode.heads={heads}", f"decode.heads={heads}")
    return Case(module, {"cells": x, "cells.attention_mask": mask}, _answer, settings)


def _answer(module: Any, x: Any, mask: Any) -> Any:
    """What each cell is multiplied with, and what is added."""
    known = int(mask[0, 0].sum())
    found = module.tf_col(module.in_linear(x), train_size=known)
    weights, biases = module.ln_w(module.out_w(found)), module.ln_b(module.out_b(found))
    whole = module._compute_embeddings(x, known)
    assert (x * weights + biases - whole).abs().max() < 1e-9
    return weights.new_tensor(np.stack([weights.numpy(), biases.numpy()]))


def _drawn(rng: np.random.Generator) -> Case:
    each, blocks, heads, hidden, points, seed = draw(rng, 5, 3, 4, 20, 6, 1000)
    columns, rows = draw(rng, 4, 9)
    return _case(heads * (each + 4), blocks, heads, hidden, points, seed, (columns, rows))


REFERENCES = (
    Reference(
        "tabicl_columns",
        "tabicl",
        "ColEmbedding",
        lambda: _case(128, 3, 8, 256, 128, 0, (6, 300)),
        _drawn,
    ),
)
