"""No key of layers is taken and then forgotten: each, with a value that it does not usually have, makes
another model."""

from __future__ import annotations

from typing import Any

import pytest

from perceiver_graph.compiler.ir.text import print_graph
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec import parse_spec
from perceiver_graph.spec.models.layers import (
    Bias,
    Decode,
    Encode,
    Layers,
    Process,
    Rotary,
    WidthPadding,
    Within,
)

PLAIN = """
perceiver: 1
name: plain
inputs:
  x: {shape: {a: 6, channel: 8}, position: {learned: {}, combine: add}}
layers: {bias: {}}
latents: {count: 4, width: 8}
encode: {heads: 2}
process: {layers: 2, heads: 2}
decode: {heads: 2}
outputs:
  y: {query: {learned: {count: 4, width: 8}}, head: {linear: 3}}
"""
SEVERAL = PLAIN.replace("process: {", "process: {blocks: 2, ")
OFTEN = SEVERAL.replace("encode: {", "encode: {cross_attends: 2, ")
PADDED = PLAIN.replace("decode: {", "decode: {padding: {min: 2}, ")
ALIKE = PLAIN.replace("process: {layers: 2, heads: 2}", "process: {layers: 2}")
TEXT = """
perceiver: 1
name: text
inputs:
  x: {shape: {a: 6}, steps: [{embedding: {vocabulary: 9, width: 8}}]}
latents: {of: x, last: 4}
encode: {heads: 2}
process: {layers: 2, heads: 2}
outputs:
  y: {query: latents, head: {linear: 3}}
"""
TURNED = TEXT + "layers: {rotary: {fraction: 1.0}}"
TIMED = """
perceiver: 1
name: timed
inputs:
  x: {shape: {a: 6, channel: 8}, position: {rotary: {given: [time]}}}
  session: {shape: {}, steps: [{embedding: {vocabulary: 3, width: 8}}]}
latents: {count: 2, per: {step: 2}, width: 8, range: [0, 1]}
encode: {heads: 2}
process: {layers: 2, heads: 2}
decode: {heads: 2, rotary: true}
outputs:
  y: {query: {points: [time], vector: session}, head: {linear: 3}}
"""
INDUCED = """
perceiver: 1
name: induced
inputs:
  x: {shape: {a: 6, channel: 8}, position: {learned: {}, combine: add}}
latents: {count: 4, width: 8}
encode: {heads: 2, cross_attends: 2}
process: {layers: 0}
decode: {heads: 2, query_residual: true}
outputs:
  y: {query: {inputs: x}, head: {linear: 3}}
"""
PLACES = """
perceiver: 1
name: places
inputs:
  x: {shape: {a: 6, b: 5, channel: 8}}
latents: {count: 4, width: 8}
encode: {heads: 2}
process: {layers: 2, heads: 2}
outputs:
  y: {query: {learned: {count: 4, width: 8}}, head: {linear: 3}}
"""
PLACES_OVER = PLACES.replace("encode: {", "encode: {over: a, ")
TOGETHER = PLACES_OVER.replace("process: {", "process: {over: b, ")
WITHIN = TOGETHER.replace("process: {", "process: {within: {layers: 1, heads: 2}, ")

Changes = dict[str, str | tuple[str, str]]
"""Of each key another value than its usual one, and the spec that it changes where that is another."""

STYLE: Changes = {
    "norm": "rms_norm",
    "norm_at": "after",
    "norm_epsilon": "0.5",
    "shared_norm": "true",
    "mlp_norm": "none",
    "hidden_norm": "layer_norm",
    "qk_norm": "layer_norm",
    "key_heads": "1",
    "scale": "0.7",
    "rotary": ("true", TEXT),
    "mapped_twice": "true",
    "bias": "false",
    "mlp": "false",
    "widening": "3",
    "hidden": "12",
    "activation": "relu",
    "gated": "true",
    "dropout": "0.5",
}
SELF: Changes = STYLE | {
    "shared_norm": ""
}  # of what reads itself there is one norm, whatever is said
HEADS: Changes = {"heads": "4", "qk_width": "12", "v_width": "12"}
CROSS: Changes = {"query_norm": "rms_norm", "value_norm": "rms_norm"}
TABLES: dict[str, tuple[type[Any], str, Changes]] = {
    "layers": (Layers, PLAIN, STYLE),
    "layers.bias": (Bias, PLAIN, dict.fromkeys(("qkv", "output", "mlp"), "false")),
    "layers.rotary": (
        Rotary,
        TURNED,
        {
            "of": "z",
            "fraction": "0.5",
            "base": "50",
            "wavelengths": "[1, 50]",
            "pairs": "halves",
            "values": "true",
        },
    ),
    "encode": (
        Encode,
        PLAIN,
        {
            **(STYLE | HEADS | CROSS),
            "query_residual": "false",
            "over": ("a", PLACES),
            "keys": "[inputs, latents]",
            "causal": ("true", TEXT),
            "cross_attends": ("2", SEVERAL),
            "share": ("all", OFTEN),
            "induced": ("true", INDUCED),
        },
    ),
    "process": (
        Process,
        PLAIN,
        {
            **(SELF | HEADS),
            "causal": ("true", TEXT),
            "layers": "3",
            "over": ("b", PLACES_OVER),
            "within": ("{layers: 1}", TOGETHER),
            "joined": ("true", TOGETHER),
            "blocks": "2",
            "share": ("false", SEVERAL),
            "weights": ("encode", ALIKE),
        },
    ),
    "process.within": (
        Within,
        WITHIN,
        {**(SELF | HEADS), "layers": "2", "rotary": ""},  # that of places: nothing tells of them
    ),
    "decode": (
        Decode,
        PLAIN,
        {
            **(STYLE | HEADS | CROSS),
            "rotary": ("{fraction: 0.5}", TIMED),
            "query_residual": "true",
            "padding": "{min: 3}",
            "project": "7",
            "chunks": "2",
        },
    ),
    "decode.padding": (WidthPadding, PADDED, {"min": "3", "learned": "false"}),
}
"""By the place where its keys are written: the model, a spec, and what of it is changed."""


@pytest.mark.parametrize("place", TABLES)
def test_every_key_has_another_value_here(place: str) -> None:
    model, _, changes = TABLES[place]
    assert set(changes) == set(model.model_fields), "a new key goes into the tables of this file"


@pytest.mark.parametrize(
    ("place", "key"),
    [(place, key) for place, (*_, keys) in TABLES.items() for key, value in keys.items() if value],
)
def test_a_key_changes_the_model(place: str, key: str) -> None:
    _, plain, changes = TABLES[place]
    change = changes[key]
    value, plain = (change, plain) if isinstance(change, str) else change
    assert made(plain) != made(plain, f"{place}.{key}={value}", may_fail=key == "of")


def made(text: str, *settings: str, may_fail: bool = False) -> list[str]:
    """The graph of a spec, and what is asked of it at once; or why there is none."""
    try:
        model = lower(parse_spec(text, overrides=settings))
    except DiagnosticError as error:
        if not may_fail:
            raise
        return [str(error)]
    return [print_graph(model.graph), *(str(one.chunk_queries) for one in model.outputs.values())]
