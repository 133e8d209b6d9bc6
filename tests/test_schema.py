"""specs/schema.json is current, is valid JSON Schema, and agrees with pydantic on any spec."""

from __future__ import annotations

import copy
import errno
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from perceiver_graph.cli.files import write_text
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.spec.models import Spec
from perceiver_graph.spec.schema import json_schema, schema_text

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = json_schema()

# JSON Schema takes 1.0 for an integer; YAML, and so pydantic, does not.
_integers = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
Validator: type[Any] = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, type_checker=_integers
)
VALIDATOR = Validator(SCHEMA)

# Uses every model of the language, so that mutations reach them all.
EVERYTHING = yaml.safe_load("""
perceiver: 1
name: everything
summary: one of each
dialect: deepmind
dims: {length: {min: 1, max: 64, multiple_of: 2}}
inputs:
  a:
    shape: {time: length, channel: 4}
    steps:
      - patch: {time: 2}
      - linear: 8
      - activation: relu
      - batch_norm: {epsilon: 0.001}
    position: {fourier: {bands: 4, max_resolution: {time: 8}, include_position: true,
               sine_only: false, endpoint: null}, combine: concat, project: 8}
    mask: optional
    media: {audio: {rate: 16000}}
  b:
    shape: {height: 8, width: 8, channel: 3}
    steps:
      - conv: {channels: 4, kernel: {height: 3, width: 3}, stride: {height: 1}, padding: same, bias: true}
      - conv: {channels: 4, kernel: {height: 3}, padding: {height: 1}}
      - max_pool: {window: {height: 2}, stride: {height: 2}, padding: valid}
    position: {learned: {width: 8, init_scale: 0.5}, combine: add}
    media: {video: {rate: 25}}
  c:
    shape: {tokens: 6}
    steps: [{embedding: {vocabulary: 9, width: 8}}]
    media: {text: {tokenizer: bytes, pair: true}}
  e:
    shape: {point: 5, channel: 4}
    steps: [{fourier: {bands: 2, max_resolution: 8.0, channels: 3}}]
    position: {learned: {width: 8, trained_on: {point: 3}}}
    attention_mask: true
    media: {points: {centre: false}}
  d: {shape: {one: 1, kinds: 5}, steps: [{squeeze: one}, {one_hot: 3}], mask: never}
  f: {shape: {height: 2, width: 2, channel: 3}, media: {flow: {overlap: 1}}}
  g:
    shape: {height: 2, width: 2, channel: 3}
    media: {image: {crop: 0.5, stretch: true, mean: [0, 0.5, 1.0], std: [1, 0.5, 0.25]}}
  h: {shape: {row: 4, channel: 2}, position: {none: set}, media: {table: {}}}
  j:
    shape: {row: 4, channel: 2}
    position: {given: [x, y], fourier: {bands: 1, max_resolution: 8, periodic: [x]},
               range: {x: [0, 1.5], y: [-1, 1]}}
  k: {shape: {row: 4, channel: 2}, position: {inputs: h, coordinates: [x, y], range: [0, 9],
               fourier: {bands: 1, max_resolution: {x: 2, y: 3}}}}
  i:
    shape: {time: 2, frequency: 3, channel: 1}
    media: {mel: {rate: 8000, window: 200, hop: 100}}
  l: {like: a, shape: {time: length, channel: 4}, mask: never, attention_mask: true,
      media: {audio: {}}}
  m: {like: l, media: null}
  n:
    shape: {row: 4, channel: 2}
    steps: [{fourier: {bands: 2, spacing: octaves, pi: false, order: axes}}]
    position: {fourier: {bands: 2, spacing: octaves, pi: true, order: waves}}
  o:
    shape: {row: 4, column: 3, channel: 2}
    steps: [{fourier: {bands: 2, wavelengths: [1, 10.5]}}, {fourier: {bands: 1, base: 100}}]
    position: {fourier: {bands: 2, wavelengths: {row: [1, 8], column: [0.5, 8]}}}
  r: {shape: {row: 4, channel: 2}, position: {rotary: {given: [x, y]}}}
  s: {shape: {row: 4, channel: 2}, position: {rotary: {inputs: h, coordinates: [x, y]}}}
  p: {shape: {row: 4, channel: 2}, position: {given: 1, fourier: {bands: 1, base: 10000}}}
  q: {shape: {row: 4, channel: 2}, steps: [{embedding: {vocabulary: {unit: 9, kind: 3}, width: 4}}]}
join: {padding: {min: 2, learned: false}}
latents: {count: 4, width: 8, init_scale: 0.1, range: [0, 4]}
layers: {rotary: {of: x, fraction: 0.5, base: 100, pairs: halves},
  norm: rms_norm, norm_at: after, qk_norm: layer_norm, key_heads: 1, scale: 0.5,
  bias: {qkv: false, output: true, mlp: false}, mlp: true, hidden: 6, gated: true, dropout: 0.1}
encode: {heads: 1, qk_width: 8, v_width: 8, widening: 2, activation: gelu, norm_epsilon: 1.0e-6,
  keys: [inputs], rotary: {wavelengths: [0.1, 4], values: true},
         query_residual: true, cross_attends: 2, share: all_but_first}
bottleneck: {variational: 3, norm: rms_norm, norm_epsilon: 1.0e-4}
process:
  {layers: 2, heads: 2, blocks: 3, share: false, rotary: false, over: time, within: {layers: 1}}
decode: {heads: 1, padding: {min: 0}, project: 8, chunks: 2, query_residual: false}
outputs:
  x:
    query: {grid: {time: 4}, position: {fourier: {bands: 2}}}
    head: {linear: 3, scale: 0.5}
    media: {classes: {top: 2, names: [p, q, r]}}
  y:
    query: {learned: {count: 2, width: 8, init_scale: 0.02}}
    head: {mlp: {hidden: 4, channels: 2, activation: tanh}}
    media: {boxes: {classes: v, names: [p], threshold: 0.5}}
  z: {query: {inputs: c}, head: {tied_embedding: c}, media: {text: {top: 2}}}
  u:
    query: {inputs: e}
    query_mask: e
    head: {linear: 3, activation: sigmoid}
    media: {labels: {names: [O, B-X, I-X]}}
  s: {query: {points: [x, y], position: {fourier: {bands: 2, max_resolution: 4}}}}
  r: {query: {points: {channel: 2}, position: {fourier: {bands: 2, max_resolution: 4}}}}
  q: {query: {points: 2, position: {fourier: {bands: 2, max_resolution: 4}}}}
  v: {query: {output: y}, media: {span: {top: 1, longest: 9}}}
  n: {query: {bottleneck: moments}}
  w: {query: {mean: latents}, media: {scores: {names: [p]}}}
  t: {query: {learned: {}}, media: {flow: {scale: 2.5}}}
  p: {query: latents, norm: layer_norm, norm_epsilon: 0.001, head: {linear: 3, norm: rms_norm}}
  o: {query: {latents: all}}
""")

SPECS = [
    EVERYTHING,
    *(yaml.safe_load(path.read_text()) for path in sorted((ROOT / "specs").glob("*.yaml"))),
]

# Values that stand somewhere in a spec, that nearly could, and that cannot.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70),
    st.sampled_from([2**31 - 1, 2**31, -(2**31)]),
    st.floats(-2, 2, allow_nan=False),
    st.sampled_from(
        ["time", "channel", "height", "Time", "ti-me", "2x", "a", "b", "length", "same", "valid"]
    ),
    st.sampled_from(
        ["relu", "gelu", "concat", "add", "none", "all", "always", "optional", "huggingface"]
    ),
    st.sampled_from(["5 * length", "(a", "2*", "a-b", "-a", "5", " a", "224 / 4", "a" * 201, "2a"]),
    st.sampled_from(["", " ", "é", "a" * 64, "a" * 65, "a.b", "A_b-c"]),
    st.sampled_from([{}, [], [1], {"a": 1}, {"time": 2}, {"time": "length"}, {"min": 1}, ["p"]]),
    st.sampled_from(
        [
            "latents",
            "mean",
            "layer_norm",
            {"latents": "all"},
            {"latents": {}},
            {"linear": 3},
            {"learned": {}},
            {"fourier": {"bands": 1}},
            {"inputs": "a"},
            {"min": None},
        ]
    ),
).map(copy.deepcopy)  # the next mutation may change what this one has put in
KEYS = st.sampled_from(
    ["time", "channel", "extra", "Time", "steps", "mask", "width", "heads", "linear", "learned"]
) | st.sampled_from(
    ["fourier", "patch", "min", "max", "scale", "position", "perceiver", "", "a" * 65, "é", "x-y"]
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a spec but the root."""
    children = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    found = [path] if path else []
    for key, value in children:
        found += places(value, (*path, key))
    return found


@st.composite
def mutated_specs(draw: st.DrawFn) -> Any:
    data = copy.deepcopy(draw(st.sampled_from(SPECS)))
    for _ in range(draw(st.integers(0, 3))):
        all_places = places(data)
        if not all_places:
            break
        *parents, last = draw(st.sampled_from(all_places))
        holder = data
        for part in parents:
            holder = holder[part]
        match draw(st.sampled_from(["replace", "replace", "delete", "add", "rename"])):
            case "replace":
                holder[last] = draw(VALUES)
            case "delete":
                del holder[last]
            case "rename" if isinstance(holder, dict):
                holder[draw(KEYS)] = holder.pop(last)
            case "add" if isinstance(holder[last], dict):
                holder[last][draw(KEYS)] = draw(VALUES)
            case "add" if isinstance(holder[last], list):
                holder[last].append(draw(VALUES))
    return data


def pydantic_accepts(data: Any) -> bool:
    try:
        Spec.model_validate(data)
    except ValidationError:
        return False
    return True


def test_the_committed_schema_is_current() -> None:
    committed = (ROOT / "specs" / "schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run `make schema`"


def test_the_schema_is_a_valid_schema_with_a_title() -> None:
    Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "perceiver-graph spec"
    assert json.loads(schema_text()) == SCHEMA


def test_every_key_has_a_description() -> None:
    for name, model in {**SCHEMA["$defs"], "Spec": SCHEMA}.items():
        assert model.get("description"), name
        for key, value in model.get("properties", {}).items():
            # What a key refers to may say the same, and is then said once.
            assert value.get("description") or "$ref" in value, f"{name}.{key}"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: str(spec["name"]))
def test_good_specs_are_accepted_by_both(spec: Any) -> None:
    assert pydantic_accepts(spec)
    VALIDATOR.validate(spec)


def test_mutations_reach_every_model() -> None:
    """EVERYTHING names each definition of the schema at least once."""
    used: set[str] = set()

    def visit(schema: Any, data: Any) -> None:
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            if not VALIDATOR.evolve(schema=SCHEMA["$defs"][name]).is_valid(data):
                return
            used.add(name)
            schema = SCHEMA["$defs"][name]
        for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            visit(option, data)
        if isinstance(data, dict):
            for key, value in data.items():
                visit(schema.get("properties", {}).get(key, {}), value)
                visit(schema.get("additionalProperties") or {}, value)
                for inner in schema.get("patternProperties", {}).values():
                    visit(inner, value)
        for value in data if isinstance(data, list) else ():
            visit(schema.get("items", {}), value)

    visit(SCHEMA, EVERYTHING)
    for made in ({"of": "image", "last": 4}, {"of": "image", "chosen": 4}):
        visit(SCHEMA, EVERYTHING | {"latents": made})
    assert used == set(SCHEMA["$defs"])


@given(mutated_specs())
@example({})
@example([])
@example({**EVERYTHING, "outputs": {"b": {"query": {}}}})
@example({**EVERYTHING, "perceiver": 2})
@example({**EVERYTHING, "perceiver": True})
@example({**EVERYTHING, "name": "a" * 64})
@example({**EVERYTHING, "name": "a" * 65})
@example({**EVERYTHING, "inputs": {}})
@example({**EVERYTHING, "inputs": {"x-y": EVERYTHING["inputs"]["a"]}})
@example({**EVERYTHING, "inputs": {"a" * 65: EVERYTHING["inputs"]["a"]}})
@example({**EVERYTHING, "dims": {"Length": {"min": 1}}})
@example({**EVERYTHING, "latents": {"count": True, "width": 8}})
@example({**EVERYTHING, "latents": {"count": 4, "width": 8.0}})
@example({**EVERYTHING, "latents": {"count": 4, "width": 8, "init_scale": 1}})
@example({**EVERYTHING, "join": None, "decode": {"project": None}})
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
def test_json_schema_and_pydantic_agree(data: Any) -> None:
    """The verdict is the same. Infinity and NaN are left out: JSON has neither."""
    errors = [error.message for error in VALIDATOR.iter_errors(data)]
    assert pydantic_accepts(data) == (not errors), errors[:3]


def test_a_file_that_may_not_be_looked_at_is_not_one_of_somebody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "is_file", fail)
    with pytest.raises(DiagnosticError) as caught:
        write_text(tmp_path / "graph.html", "", "html")
    assert "cannot be written: Permission denied" in caught.value.diagnostics[0].message
