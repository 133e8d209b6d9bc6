"""Command lines: options and arguments of every command, right ones, wrong ones and strange ones."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from perceiver_graph.cli.app import COMMANDS
from tests.fuzz.case import Commands, Files
from tests.fuzz.targets.models import SPECS, content

_OPTIONS = (
    *(
        "-o",
        "--output",
        "--backend",
        "--weights",
        "--seed",
        "--device",
        "--precision",
        "--calibrate",
    ),
    *(
        "-O",
        "--set",
        "--memory",
        "--verify",
        "--dump-ir",
        "--debug",
        "--format",
        "--depth",
        "--rate",
    ),
    *(
        "--inputs",
        "--decode",
        "--size",
        "--names",
        "--random",
        "--from",
        "--replace-head",
        "--help",
    ),
    *("--image-size", "--name", "--version", "-h", "--nope", "-"),
)
_VALUES = (
    *("model", "a.yaml", "a.csv", "none", "", ".", "out", "out.npz", "a.json", "kinetics"),
    *(
        "onnx",
        "torch",
        "all",
        "cpu",
        "fp32",
        "int8",
        "bf16",
        "0",
        "1",
        "2",
        "-1",
        "99999999999999999999",
    ),
    *(
        "1GiB",
        "0",
        "1e999",
        "nan",
        "latents.count=3",
        "latents.count=",
        "=",
        "a.b.c=1",
        "label=0:2",
    ),
    *("label", "label=9:1", "text=1:", "length=3", "n=1", "json", "table", "full", "html", "tree"),
    *(
        "PG204",
        "pg9",
        "204",
        "\x1b[31m",
        "a\nb",
        "x" * 300,
        "\udcff",
        "é",
        "label=4",
        "-5",
        "a.yaml/x",
    ),
)


class Target:
    """Any words in any order."""

    name = "commands"

    def bases(self) -> Mapping[str, Files]:
        """A spec, an artifact, a table."""
        return _bases()

    def step(self, files: Files, chance: random.Random) -> Files:
        """What is changed is the command line: the files stay as they are."""
        return files

    def commands(self, base: str, files: Files, chance: random.Random) -> Commands:
        """Up to six words after the command."""
        command = chance.choice(COMMANDS)
        first = {"run": "model", "explain": "PG204", "new": "b", "schema": "", "list": ""}
        words = [first.get(command, "a.yaml")] if chance.random() < 0.7 else []
        words += [
            chance.choice(_OPTIONS if chance.random() < 0.5 else _VALUES)
            for _ in range(chance.randrange(6))
        ]
        return [[command, *filter(None, words)]] if chance.random() < 0.95 else [words or [""]]


@cache
def _bases() -> Mapping[str, Files]:
    files = {"a.yaml": SPECS["text"].encode(), "a.csv": b"1,2,3\n", **content("text")}
    return {"folder": files}
