"""The language of a sentence: manual pages in 20 languages, tested on pages that were held out."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from perceiver_graph.media.text.tokens import encode
from recipes import base
from recipes.downloads import deb, deb_files
from recipes.text.packages import PAGES, WORDS

LANGUAGES = tuple(PAGES)
SHORTEST, LONGEST = 32, 128
"""Characters of a training text, and at most so many bytes; the model takes 256."""
EACH = 6000
"""The most sentences of a language that are kept."""
VOCABULARY = 40_000
"""The most words of a language that are kept."""
FROM_LISTS = 0.1
"""How often a text is made of a list's words rather than of sentences."""


class Sentences(Dataset[base.Batch]):
    """Pieces of sentences, and words of lists, as ids: others each time, every language equally often."""

    def __init__(
        self, sentences: dict[str, list[str]], words: dict[str, list[str]], seed: int
    ) -> None:
        self.sentences = [sentences[language] for language in LANGUAGES]
        self.words = [np.array(words.get(language, [])) for language in LANGUAGES]
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(LANGUAGES) * EACH

    def __getitem__(self, index: int) -> base.Batch:
        language, number = index % len(LANGUAGES), index // len(LANGUAGES)
        among, words = self.sentences[language], self.words[language]
        if len(words) and self.random.random() < FROM_LISTS:
            text = " ".join(self.random.choice(words, self.random.integers(3, 15)))
        else:
            text = piece(among[number % len(among)], self.random)
        return {**padded([text], LONGEST), "language": np.array([language])}


class Recipe(base.Recipe):
    """The language of a sentence."""

    steps, batch, rate = 8000, 64, 2e-3

    def prepare(self) -> None:
        """Cut the manual pages of each language into sentences, and read its list of words."""
        self._prepare_words()
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
            for language, packages in PAGES.items()
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
                    and (part == "train" or is_whole(sentence))
                }
                order = sorted(alone, key=lambda text: hashlib.sha256(text.encode()).digest())
                chosen[language] = order[:EACH]
        kept.write_text(json.dumps(parts, ensure_ascii=False))

    def _prepare_words(self) -> None:
        kept = self.data / "words.json"
        if kept.exists():
            return
        lists: dict[str, list[str]] = {}
        for language, (path, sha256) in WORDS.items():
            for name, content in deb_files(deb(path, sha256, self.data)):
                if "/dict/" in name or name.endswith(".dic"):
                    lists[language] = words_of(content)
        kept.write_text(json.dumps(lists, ensure_ascii=False))

    def sentences(self, part: str) -> dict[str, list[str]]:
        """The sentences of a language, for training or testing."""
        loaded: dict[str, dict[str, list[str]]] = json.loads(
            (self.data / "sentences.json").read_text()
        )
        return loaded[part]

    def examples(self) -> Sentences:
        """Sentences of the pages that were not held out."""
        words = json.loads((self.data / "words.json").read_text())
        return Sentences(self.sentences("train"), words, self.seed)

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

    def show(self, run: base.Run, pictures: Path) -> str:
        """A sentence of each of eight languages, none of them ever read."""
        lines = ["| sentence of a page that was held out | told | probability |", "|---|---|---:|"]
        for language in LANGUAGES[1::2][:8]:
            text = min(self.sentences("test")[language][:20], key=len)
            scores = run(padded([text], 256))["label"][0].astype(np.float64)
            odds = np.exp(scores - scores.max())
            best = int(odds.argmax())
            mark = "" if LANGUAGES[best] == language else f" (it is {language})"
            shown = text.replace("|", "\\|")
            lines.append(f"| {shown} | {LANGUAGES[best]}{mark} | {odds[best] / odds.sum():.2f} |")
        return "\n".join(lines)


def padded(texts: list[str], length: int) -> dict[str, NDArray[Any]]:
    """Texts as the inputs of the model, cut off and filled up to a length."""
    ids, mask = np.zeros((2, len(texts), length), np.int64)
    for row, text in enumerate(texts):
        tokens = encode(text).ids[:length]
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    return {"text": ids, "text.attention_mask": mask}


def piece(sentence: str, random: np.random.Generator) -> str:
    """A part of a sentence, short or long."""
    start = int(random.integers(0, max(1, len(sentence) - SHORTEST)))
    return sentence[start : start + int(random.integers(SHORTEST, LONGEST))].strip() or sentence


def held_out(page: str) -> bool:
    """Whether a page is for testing, in whatever language: one of six."""
    return hashlib.sha256(page.encode()).digest()[0] % 6 == 0


def is_whole(text: str) -> bool:
    """Whether a text is a sentence, from its first letter to its last sign, and no option or code."""
    begins = text[0].isupper() or not text[0].isascii()
    ends = text[-1] in ".!?:;\u3002\uff01\uff1f"
    wide = any(ord(character) > 0x3000 for character in text)
    code = re.search(r"[$\\{}=@<>|*#/_\"]|--|\w\(\d", text)
    return begins and ends and not code and (wide or len(text.split()) >= 5)


def words_of(content: bytes) -> list[str]:
    """Words of a list, one a line, without the flags that spelling checkers have behind a slash."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    found = {re.split(r"[/\t]", line)[0] for line in text.splitlines()}
    words = (word for word in found if word.isalpha() and len(word) > 1)
    return sorted(words, key=lambda word: hashlib.sha256(word.encode()).digest())[:VOCABULARY]


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
