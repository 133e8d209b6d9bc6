"""Runs the commands of the pages on tasks, at full size, and renews what comes out of them.

`python docs/pages.py` rewrites the pages whose figures went stale, `--check` only names them; names
of pages after it choose some. A page's commands are its `sh` blocks; the block without a name that
follows one, if any, is what the last of its commands prints. It takes minutes and gigabytes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

DOCS = Path(__file__).parent
TASKS = DOCS / "tasks"
LINKED = ("examples", "specs")
"""What the commands find beside them, as in a clone."""
SHOWN = re.compile(
    r"^## Run it\n.*?^```sh\n(.*?)^```\n(?:(?!^(?:```|## )).)*?^```\n(.*?)^```", re.M | re.S
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def commands(block: str) -> list[list[str]]:
    """The command lines of a block, as a shell takes them apart; comments are left out."""
    lines = (shlex.split(line, comments=True) for line in block.splitlines())
    return [words for words in lines if words]


def page(path: Path, run: Callable[[Sequence[str]], str]) -> str:
    """The text of a page with what its commands print now.

    `run` runs one command line and returns what it prints.
    """
    text = path.read_text(encoding="utf-8")
    found = SHOWN.search(text)
    if found is None:
        return text
    printed = [run(words) for words in commands(found[1])][-1]
    return text[: found.start(2)] + printed + text[found.end(2) :]


def agree(text: str, now: str) -> bool:
    """Whether two texts differ in the last digit of numbers at most, which rounding may change."""
    if _NUMBER.sub("0", text) != _NUMBER.sub("0", now):
        return False
    pairs = zip(_NUMBER.findall(text), _NUMBER.findall(now), strict=True)
    return all(
        abs(float(a) - float(b)) <= 1.01 * 10.0 ** -len(a.partition(".")[2]) * ("." in a)
        for a, b in pairs
    )


def stale(paths: Sequence[Path]) -> dict[Path, str]:
    """The pages that do not show what their commands print, each with the text it should have."""
    found = {}
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            text = page(path, _runner(Path(folder)))
        if not agree(path.read_text(encoding="utf-8"), text):
            found[path] = text
    return found


def _runner(folder: Path) -> Callable[[Sequence[str]], str]:
    for name in LINKED:
        (folder / name).symlink_to(DOCS.parent / name)
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent), "COLUMNS": "100"}

    def run(words: Sequence[str]) -> str:
        program = {"perceiver-graph": ["-m", "perceiver_graph"], "python": []}[words[0]]
        command = [sys.executable, *program, *words[1:]]
        print("$", shlex.join(words), file=sys.stderr)
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    return run


def main() -> int:
    """Renew the pages, or with `--check` only name them."""
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    paths = [TASKS / f"{name}.md" for name in names] or sorted(TASKS.glob("*.md"))
    found = stale(paths)
    for path, text in found.items():
        print(f"{path.name} is out of date")
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    return 1 if found and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
