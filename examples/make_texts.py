"""Texts to try a batch on: `python examples/make_texts.py 12 -o build/texts`."""

from __future__ import annotations

import argparse
from pathlib import Path

WORDS = ("a film", "a song", "this weather", "the food here", "my new chair", "that long book")
SAID = ("is lovely", "is dreadful", "could be worse", "was what I hoped for")


def main() -> None:
    """Write so many short texts, in folders of ten."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    for number in range(options.count):
        path = options.output / f"{number // 10:03}" / f"{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"{WORDS[number % len(WORDS)]} {SAID[number % len(SAID)]}\n"
        path.write_text(text, encoding="utf-8")
    print(options.output)


if __name__ == "__main__":
    main()
