"""Which of the known names a misspelt one was meant to be, and the question that asks it.

Everything that looks up a name of the user's asks here, so that all of it forgives the same slips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perceiver_graph.diagnostics.text import NAME_LIMIT, quote

_MEANT = {
    "gpu": "cuda",
    "ort": "onnxruntime",
    "onnx": "onnxruntime",
    "pytorch": "torch",
    "half": "fp16",
    "float16": "fp16",
    "16": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "float": "fp32",
    "full": "fp32",
    "32": "fp32",
}
"""What other programs call a choice that no spelling would lead to."""

_LONGEST = 80  # characters of a word that are compared; longer ones are no slip of the finger
_SHORTEST = 3  # characters of what may be short for a word
_LIKENESS = 0.6  # of difflib's ratio, from 0 (nothing in common) to 1 (equal)


def did_you_mean(word: object, known: Iterable[object]) -> str | None:
    """The help for a misspelt name, if a known one comes close: "did you mean `width`?"."""
    return question(closest(word, known))


def choice(word: object, choices: Iterable[object]) -> Sequence[str]:
    """The choices that a word comes close to, or that another program calls so."""
    known, text = [*map(str, choices)], str(word)
    text = "cuda" if text.startswith("cuda:") else text
    return closest(text if text in known else _MEANT.get(text, text), known)


def nearest(word: object, known: Iterable[object]) -> str | None:
    """The known word that `word` is most likely a misspelling of, if one comes close."""
    return next(iter(closest(word, known)), None)


def closest(word: object, known: Iterable[object], most: int = 1) -> tuple[str, ...]:
    """Up to `most` known words that come close, the likeliest first.

    Case does not count, nor whether words are joined by `-` or `_`. A word that differs in nothing
    else is the only answer. One slip of a finger comes before any other likeness; where no word is spelt
    nearly so, it may be short for one: `lon`.
    """
    words: dict[str, list[str]] = {}
    for item in dict.fromkeys(map(str, known)):
        words.setdefault(_folded(item), []).append(item)
    key = _folded(str(word)[:_LONGEST])
    if key in words:
        return tuple(words[key][:most])
    from difflib import get_close_matches  # only mistakes need it

    slips = [one for one in words if is_slip(key, one)]
    slips = get_close_matches(key, slips, most, 0)
    close = [*dict.fromkeys([*slips, *get_close_matches(key, words, most, _LIKENESS)])]
    if not close and len(key) >= _SHORTEST:
        close = [one for one in words if one.startswith(key)]
    return tuple(item for near in close for item in words[near])[:most]


def slips_of(word: object, known: Iterable[object]) -> tuple[str, ...]:
    """All known words of which `word` is one slip of a finger away: often there is one, or none."""
    key = _folded(str(word)[:_LONGEST])
    return tuple(one for one in dict.fromkeys(map(str, known)) if is_slip(key, _folded(one)))


def is_slip(word: str, meant: str) -> bool:
    """Whether a word is another one with a letter left out, one too many, or two neighbours exchanged."""
    if abs(len(word) - len(meant)) > 1 or word == meant or min(len(word), len(meant)) < 1:
        return False
    same = next(
        (i for i, pair in enumerate(zip(word, meant, strict=False)) if len(set(pair)) > 1), -1
    )
    if same < 0:  # one begins with the other
        return True
    ours, theirs = word[same:], meant[same:]
    if len(word) == len(meant):
        return ours[:2] == theirs[1::-1] and ours[2:] == theirs[2:]
    longer, shorter = (ours, theirs) if len(ours) > len(theirs) else (theirs, ours)
    return longer[1:] == shorter


def question(guesses: Iterable[str], limit: int = NAME_LIMIT) -> str | None:
    """ "did you mean `a` or `b`?", each guess cut to `limit` characters; None without a guess."""
    quoted = dict.fromkeys(quote(guess, limit) for guess in guesses)
    return f"did you mean {' or '.join(quoted)}?" if quoted else None


def joined(words: Iterable[str], last: str = "or") -> str:
    """`a, b or c`."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end


def _folded(word: str) -> str:
    return word.casefold().replace("-", "_")
