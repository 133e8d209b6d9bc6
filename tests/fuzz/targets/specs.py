"""Specs: shipped ones and all kinds of small ones, with keys, values and characters changed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.render import render_yaml, resolved_data
from tests.fuzz.case import Commands, Files
from tests.fuzz.damage import scrambled
from tests.fuzz.judge import PROMISED
from tests.fuzz.targets.models import SPECS
from tests.small import SMALL
from tests.test_loader_properties import SCRAPS as OF_THE_LOADER

_LARGEST = 4_000_000  # bytes of a spec's numbers that are worth compiling in a fuzzer
SCRAPS = [
    *OF_THE_LOADER,
    *(
        "shape",
        "steps: [{linear: 3}]",
        "{patch: {height: 2}}",
        "length",
        "length / 2",
        "3 * length",
    ),
    *(
        "position: {learned: {}}",
        "{fourier: {bands: 2}}",
        "mask: always",
        "join: {padding: {min: 1}}",
    ),
    *("given: [x, y]", "like: image", "{points: 2}", "periodic: [x]", "of: 30", "\u00a0", "\u0441"),
    *("rotary: true", "rotary: {of: time}", "range: [0, 1]", "position: {rotary: {given: [time]}}"),
    *("induced: true", "cross_attends: 2", "over: level", "joined: true", "per: {step: 2}"),
    *("vector: session", "query: latents", "causal: true", "query_norm: none", "count: length"),
    *("max: 9", "multiple_of: 2", "head: {linear: 2}", "media: {image: {}}", "chunks: 3", "\u2028"),
]


class Target:
    """Check; and what is accepted compiles, for both backends, and runs."""

    name = "specs"

    def bases(self) -> Mapping[str, Files]:
        """The shipped systems, small, and the models of the other targets."""
        return _bases()

    def step(self, files: Files, chance: random.Random) -> Files:
        """A change of the text."""
        return {"a.yaml": scrambled(files["a.yaml"], SCRAPS, chance)}

    def commands(self, base: str, files: Files, chance: random.Random) -> Commands:
        """What is accepted must compile and run, unless it is too large to try."""
        looks = [
            ["inspect", "a.yaml", "--format", chance.choice(("table", "json"))],
            ["diff", *chance.choice((("a.yaml", "language"), ("language", "a.yaml")))],
            ["diff", "a.yaml", "--set", "latents.count=3", "--format", "json"],
            [
                "graph",
                "a.yaml",
                "--format",
                chance.choice(("tree", "dot", "mermaid", "json", "html")),
            ],
            ["check", "a.yaml", "--format", chance.choice(("full", "concise", "json", "github"))],
        ]
        if not is_small(files["a.yaml"]):
            return looks
        backend = chance.choice(("onnx", "onnx", "all"))
        level = chance.choice(("0", "2", "2"))
        return [
            chance.choice(looks),
            [PROMISED, "compile", "a.yaml", "-o", "a", "-O", level, "--backend", backend],
            [PROMISED, "run", "a", "--random", "-o", "out.npz", "--device", "cpu"],
        ]


@cache
def _bases() -> Mapping[str, Files]:
    found = {name: text.encode() for name, text in SPECS.items()}
    for name, settings in SMALL.items():
        spec = load_spec(name, overrides=list(settings)).spec
        found[name] = render_yaml(resolved_data(spec, {})).encode()
    return {name: {"a.yaml": text} for name, text in found.items()}


def is_small(text: bytes) -> bool:
    """Whether compiling and running a spec takes moments. A spec that is wrong is small."""
    from perceiver_graph.compiler.lowering.lower import lower
    from perceiver_graph.diagnostics import DiagnosticError
    from perceiver_graph.spec.loader import parse_spec

    try:
        lowered = lower(parse_spec(text.decode("utf-8")))
        # A symbol without a largest size is random data of any size.
        most = {name: d.max or _LARGEST for name, d in lowered.document.spec.dims.items()}
        sizes = dict.fromkeys(lowered.graph.symbols, 1) | most
        data = sum(
            int(size.evaluate(sizes)) if hasattr(size, "evaluate") else int(size)
            for size in (lowered.input_array[0], lowered.total_queries)
        )
    except (DiagnosticError, ValueError, KeyError):
        return True
    return 4 * lowered.graph.parameter_count < _LARGEST and data < 20_000
