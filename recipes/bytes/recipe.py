"""Masked bytes of English: manual pages, tested on pages that were held out, beside an n-gram model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from perceiver_graph.media.text.tokens import FIRST_BYTE, MASK, decode, encode
from recipes import base
from recipes.bytes.ngram import NGrams
from recipes.downloads import deb, deb_files
from recipes.text.packages import PAGES
from recipes.text.recipe import held_out, padded, page_of, sentences_of

LENGTH = 128
"""The most ids that the model takes."""
BYTES = LENGTH - 2
"""Of a text: [CLS] stands before it, and [SEP] behind."""
MASKED = 0.15
"""Of the bytes, drawn one by one."""
TESTED = 400
"""Texts of held-out pages."""
ORDER = 8
"""Of the n-gram model: the best of 5 to 8."""
SHOWN = 6


class Pieces(Dataset[base.Batch]):
    """Stretches of pages with masked bytes: others each time."""

    def __init__(self, pages: list[str], seed: int) -> None:
        self.texts = [text for page in pages if len(text := page.encode()) > BYTES]
        sizes = np.array([len(text) for text in self.texts])
        self.share = sizes / sizes.sum()
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return 20_000

    def __getitem__(self, index: int) -> base.Batch:
        text = self.texts[self.random.choice(len(self.texts), p=self.share)]
        length = BYTES if self.random.random() < 0.7 else int(self.random.integers(24, BYTES))
        start = int(self.random.integers(0, len(text) - length + 1))
        return masked([text[start : start + length].decode(errors="ignore")], self.random)


class Recipe(base.Recipe):
    """Masked bytes filled in."""

    steps, batch, rate = 3000, 48, 3e-3

    def prepare(self) -> None:
        """The sentences of each page, in their order."""
        kept = self.data / "pages.json"
        if kept.exists():
            return
        parts: dict[str, list[str]] = {"train": [], "test": []}
        for path, sha256 in PAGES["English"]:
            for name, content in deb_files(deb(path, sha256, self.data)):
                if (page := page_of(name)) and (text := " ".join(sentences_of(content))):
                    parts["test" if held_out(page) else "train"].append(text)
        kept.write_text(json.dumps(parts, ensure_ascii=False))

    def pages(self, part: str) -> list[str]:
        """The text of each page, for training or testing."""
        found: dict[str, list[str]] = json.loads((self.data / "pages.json").read_text())
        return found[part]

    def examples(self) -> Pieces:
        """Stretches of the pages that were not held out."""
        return Pieces(self.pages("train"), self.seed)

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        """Cross-entropy of the bytes that are masked."""
        texts = {name: ids.squeeze(1) for name, ids in batch.items()}
        wanted = texts.pop("wanted")
        return F.cross_entropy(
            model(texts)["text"].flatten(0, 1), wanted.flatten(), ignore_index=-1
        )

    @cached_property
    def tests(self) -> list[str]:
        """Stretches of held-out pages that do not overlap, from all over them."""
        found = [
            page[start : start + BYTES]
            for page in self.pages("test")
            for start in range(0, len(page) - BYTES, BYTES)
            if page.isascii()
        ]
        return [found[place] for place in np.random.default_rng(0).permutation(len(found))[:TESTED]]

    @cached_property
    def ngrams(self) -> NGrams:
        """Of the pages that the model learns from."""
        return NGrams([page.encode() for page in self.pages("train")], ORDER)

    @cached_property
    def expected(self) -> float:
        """The share of the masked bytes that the n-gram model tells, in percent.

        It is told all bytes before the one in question, also those that are masked to the model.
        """
        right = []
        for text in self.tests:
            truth = text.encode()
            for place in map(int, np.flatnonzero(masked([text], seeded(text))["wanted"][0] >= 0)):
                before = truth[max(0, place - ORDER) : place - 1]  # [CLS] has the first place
                right.append(self.ngrams.after(before).argmax() == truth[place - 1])
        return 100 * float(np.mean(right))

    def measure(self, run: base.Run) -> list[base.Figure]:
        """The share of masked bytes that are told right, in percent, and over the n-gram model."""
        right = []
        for text in self.tests:
            batch = masked([text], seeded(text))
            wanted = batch.pop("wanted")
            found = run(batch)["text"].argmax(-1)
            right.append((found == wanted)[wanted >= 0])
        share = 100 * float(np.concatenate(right).mean())
        return [
            base.Figure("masked bytes told right", share, "%", 70),
            base.Figure("over an n-gram model", share - self.expected, "points", 10),
        ]

    def show(self, run: base.Run, pictures: Path) -> str:
        """Sentences with masked bytes, and what is filled in."""
        lines = ["| with masked bytes | filled in | right |", "|---|---|---:|"]
        for text in self.tests[:SHOWN]:
            batch = masked([text], seeded(text))
            wanted = batch.pop("wanted")[0]
            found = run(batch)["text"][0].argmax(-1)
            holes = wanted >= 0
            truth = np.array(encode(text).ids)
            asked = "".join(
                "▢" if hole else decode([byte]) for byte, hole in zip(truth, holes, strict=False)
            )
            filled = np.where(holes[: len(truth)], found[: len(truth)], truth)
            told = decode(filled.tolist(), skip_special=True)
            share = f"{int((found == wanted)[holes].sum())} of {int(holes.sum())}"
            lines.append(f"| {cell(asked[5:-5])} | {cell(told)} | {share} |")
        return "\n".join(lines)


def masked(texts: list[str], random: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Texts with masked bytes as inputs of the model; `wanted` is what stood there, and -1 elsewhere."""
    batch = padded(texts, LENGTH)
    ids = batch["text"]
    holes = (ids >= FIRST_BYTE) & (random.random(ids.shape) < MASKED)
    return {**batch, "text": np.where(holes, MASK, ids), "wanted": np.where(holes, ids, -1)}


def seeded(text: str) -> np.random.Generator:
    """Draws the same for the same text."""
    return np.random.default_rng(list(text.encode()))


def cell(text: str) -> str:
    """A text in a table, as it is."""
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`"
