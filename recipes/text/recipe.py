"""The language of a sentence: manual pages in 20 languages, tested on pages that were held out."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from perceiver_graph.media.text.tokens import encode
from recipes import base
from recipes.downloads import deb, deb_files
from recipes.text.packages import PACKAGES

LANGUAGES = tuple(PACKAGES)
LONGEST = 128
"""Bytes of a training text; the model takes 256."""
EACH = 6000
"""The most sentences of a language that are kept."""


class Sentences(Dataset[base.Batch]):
    """Pieces of sentences as ids, another piece each time, every language equally often."""

    def __init__(self, sentences: dict[str, list[str]], seed: int) -> None:
        self.sentences = [sentences[language] for language in LANGUAGES]
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(LANGUAGES) * EACH

    def __getitem__(self, index: int) -> base.Batch:
        language, number = index % len(LANGUAGES), index // len(LANGUAGES)
        among = self.sentences[language]
        text = piece(among[number % len(among)], self.random)
        return {**padded([text], LONGEST), "language": np.array([language])}


class Recipe(base.Recipe):
    """The language of a sentence."""

    steps, batch, rate = 6000, 64, 1e-3

    def prepare(self) -> None:
        """Cut the manual pages of each language into sentences."""
        kept = self.data / "sentences.json"
        if kept.exists():
            return
        found = {
            language: [
                (page, sentence)
                for path, sha256 in packages
                for name, content in deb_files(deb(path, sha256, self.data))
                if (page := page_of(name))
                for sentence in sentences_of(content)
            ]
            for language, packages in PACKAGES.items()
        }
        # What is not translated stays English.
        shared = Counter(
            sentence for pairs in found.values() for sentence in {each for _, each in pairs}
        )
        parts: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
        for language, pairs in found.items():
            for part, chosen in parts.items():
                alone = {
                    sentence: None
                    for page, sentence in pairs
                    if shared[sentence] == 1
                    and held_out(page) == (part == "test")
                    and (language == "English" or not untranslated(sentence))
                }
                order = sorted(alone, key=lambda text: hashlib.sha256(text.encode()).digest())
                chosen[language] = order[:EACH]
        kept.write_text(json.dumps(parts, ensure_ascii=False))

    def sentences(self, part: str) -> dict[str, list[str]]:
        """The sentences of a language, for training or testing."""
        loaded: dict[str, dict[str, list[str]]] = json.loads(
            (self.data / "sentences.json").read_text()
        )
        return loaded[part]

    def examples(self) -> Sentences:
        """Sentences of the pages that were not held out."""
        return Sentences(self.sentences("train"), self.seed)

    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: base.Batch) -> Tensor:
        """Cross-entropy of the language."""
        texts = {name: ids.squeeze(1) for name, ids in batch.items()}
        language = texts.pop("language")
        return F.cross_entropy(model(texts)["label"], language, label_smoothing=0.05)

    def measure(self, run: base.Run) -> list[base.Figure]:
        """The share of sentences whose language is told right, in percent: 100 a language."""
        right = []
        for number, sentences in enumerate(self.sentences("test").values()):
            for start in range(0, 100, 50):
                texts = sentences[start : start + 50]
                if texts:
                    scores = run(padded(texts, 256))["label"]
                    right.append(scores.argmax(-1) == number)
        return [
            base.Figure("language told right", 100 * float(np.concatenate(right).mean()), "%", 97)
        ]


def padded(texts: list[str], length: int) -> dict[str, NDArray[Any]]:
    """Texts as the inputs of the model, cut off and filled up to a length."""
    ids, mask = np.zeros((2, len(texts), length), np.int64)
    for row, text in enumerate(texts):
        tokens = encode(text).ids[:length]
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    return {"text": ids, "text.attention_mask": mask}


def piece(sentence: str, random: np.random.Generator) -> str:
    """A part of a sentence, short or long."""
    start = int(random.integers(0, max(1, len(sentence) - 12)))
    return sentence[start : start + int(random.integers(12, LONGEST))].strip() or sentence


def held_out(page: str) -> bool:
    """Whether a page is for testing, in whatever language: one of six."""
    return hashlib.sha256(page.encode()).digest()[0] % 6 == 0


_ENGLISH = re.compile(r"\b(the|of|and|to|with|this|that|are|be|which|will|used|not|you)\b", re.I)


def untranslated(sentence: str) -> bool:
    """Whether a sentence is English: two of its words, or one in eight, are such as only English has."""
    found = len(_ENGLISH.findall(sentence))
    return found >= 2 or 8 * found >= len(sentence.split())


def page_of(path: str) -> str | None:
    """The name of a manual page, without its section; None of another file."""
    found = re.fullmatch(r"usr/share/man/(?:.*/)?man\d\w*/([^/]+?)\.\d\w*\.gz", path)
    return found and found[1]


_MARKUP = re.compile(r"\\f(\[[^]]*\]|\(..|.)|\\[&,/|^%:]|\\s[-+]?\d+|\\\*(\[[^]]*\]|\(..|.)")


def sentences_of(content: bytes) -> Iterator[str]:
    """Sentences of a manual page: of its paragraphs, without markup, 40 to 200 characters each."""
    try:
        text = gzip.decompress(content).decode()
    except (UnicodeDecodeError, gzip.BadGzipFile):
        return
    for paragraph in re.split(r"(?m)^[.'].*\n|^\s*\n", text):
        if "\\(" in paragraph or "\\[" in paragraph or "\t" in paragraph:
            continue
        line = " ".join(_MARKUP.sub("", paragraph).replace("\\-", "-").replace("\\e", "\\").split())
        for sentence in re.split(r"(?<=[.!?:;])\s+|(?<=[\u3002\uff01\uff1f])", line):
            letters = sum(character.isalpha() for character in sentence)
            wide = sum(ord(character) > 0x3000 for character in sentence)
            if 40 <= len(sentence) + 2 * wide <= 200 and letters > 0.6 * len(sentence):
                yield sentence
