"""`diff`: what differs is told, what is equal is not, and what it says of weights holds."""

from __future__ import annotations

import io
import json
import re
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from perceiver_graph.cli.comparison import Comparison
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.changes import changes
from perceiver_graph.spec.loader import load_spec, parse_spec
from perceiver_graph.spec.render import render_yaml, resolved_data
from perceiver_graph.testing.specs import render, specs
from tests.cli.support import ROOT, TINY, Command


def difference(command: Command, *arguments: object) -> dict[str, Any]:
    done = command("diff", *arguments, "--format", "json")
    assert (done.code, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(name: str, *replaced: tuple[str, str]) -> Path:
        text = TINY
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@given(specs(symbolic=True))
def test_a_spec_does_not_differ_from_itself(data: dict[str, Any]) -> None:
    """Nor from what it resolves to, where every default is written out."""
    lowered = lower(parse_spec(render(data)))
    resolved = render_yaml(resolved_data(lowered.document.spec, lowered.derived))
    for text in (render(data), resolved):
        found = Comparison.of(lowered, lower(parse_spec(text)))
        assert found.is_equal
        assert found.tensors.are_the_same
        said = found.settings, found.shapes, found.operations, found.costs
        assert said == ((), (), (), ())


def test_dropout_is_for_training_and_programs_drop_nothing(command: Command, write: Any) -> None:
    found = difference(command, write("a"), "--set", "layers.dropout=0.5")
    assert found["same_results"]
    assert not found["equal"]
    assert {one["key"] for one in found["settings"]} == {
        "encode.dropout", "process.dropout", "decode.dropout"
    }  # fmt: skip
    found = difference(command, write("a"), "--set", "layers.activation=relu")
    assert not found["same_results"]


@given(specs(), specs())
def test_a_difference_is_one_from_either_side(a: dict[str, Any], b: dict[str, Any]) -> None:
    one, other = (lower(parse_spec(render(data))) for data in (a, b))
    there, back = Comparison.of(one, other), Comparison.of(other, one)
    assert {change.key for change in there.settings} == {change.key for change in back.settings}
    assert len(there.tensors.kept) == len(back.tensors.kept)
    assert (there.is_equal, there.same_results) == (back.is_equal, back.same_results)


@given(specs(), specs())
def test_changes_lead_from_one_spec_to_the_other(a: dict[str, Any], b: dict[str, Any]) -> None:
    found = list(changes(a, b))
    assert reduce(lambda data, one: one.made(data), found, a) == b
    assert bool(found) == (json.dumps(a) != json.dumps(b))


@pytest.mark.parametrize(
    ("key", "a", "b"),
    [
        ("dialect", "huggingface", "deepmind"),
        ("inputs.image.shape.time", 16, 8),
        ("inputs.image.steps.0.patch.height", 4, 8),
        ("inputs.image.position.fourier.bands", 32, 16),
        ("inputs.image.position.fourier.max_resolution.height", 56.0, 28.0),
        ("inputs.audio.position.fourier.endpoint", True, False),
        ("inputs.audio.position.fourier.sine_only", False, True),
        ("inputs.audio.position.combine", "concat", "add"),
        ("inputs.audio.mask", "optional", "never"),
        ("inputs.audio.attention_mask", False, True),
        ("inputs.audio.media.audio.rate", 48000, 16000),
        ("join.padding.learned", True, False),
        ("latents.init_scale", 0.02, 0.5),
        ("encode.qk_width", 704, 64),
        ("encode.query_residual", True, False),
        ("process.heads", 8, 4),
        ("process.norm_epsilon", 1e-5, 1e-12),
        ("decode.activation", "gelu", "relu"),
        ("decode.chunks", 128, 64),
        ("outputs.label.head.scale", None, 0.5),
        ("outputs.audio.query.position.fourier.endpoint", False, True),
        ("summary", load_spec("kinetics").spec.summary, "Mine"),
    ],
)
def test_a_key_that_changes_is_told(key: str, a: object, b: object, command: Command) -> None:
    value = json.dumps(b)
    arguments = ["kinetics", "--set", f"{key}={value}"]
    if key.endswith("combine"):
        arguments += ["--set", "inputs.audio.position.project=16"]
    found = difference(command, *arguments)
    assert not found["equal"]
    (told,) = [one for one in found["settings"] if one["key"] == key]
    assert (told["a"], told["b"], told["derived"]) == (a, b, False)
    own = command("diff", *arguments).out
    assert key in own
    assert len(own.splitlines()) <= 40


def test_a_position_of_another_kind_is_told_whole(command: Command) -> None:
    out = command("diff", "imagenet_fourier", "imagenet_learned").out
    positions = out.split("\n\n")[1]
    assert positions == (
        "positions                                            A         B\n"
        "inputs.image.position.fourier.bands                  64        left out\n"
        "inputs.image.position.fourier.max_resolution.height  224.0     left out\n"
        "inputs.image.position.fourier.max_resolution.width   224.0     left out\n"
        "inputs.image.position.fourier.periodic               []        left out\n"
        "inputs.image.position.fourier.include_position       true      left out\n"
        "inputs.image.position.fourier.sine_only              false     left out\n"
        "inputs.image.position.fourier.endpoint               true      left out\n"
        "inputs.image.position.project                        left out  256\n"
        "inputs.image.position.learned.width                  left out  256\n"
        "inputs.image.position.learned.init_scale             left out  0.02"
    )


def test_rotary_positions_are_positions(command: Command) -> None:
    for key, settings in (
        ("process.rotary.fraction", "process.rotary={fraction: 0.25}"),
        ("encode.rotary.base", "encode.rotary={base: 100}"),
    ):
        sections = command("diff", "poyo", "--set", settings).out.split("\n\n")
        (positions,) = [one for one in sections if one.startswith("positions")]
        assert key in positions
        assert not any(key in one for one in sections if one.startswith("settings"))


def test_a_head_that_is_multiplied_by_one_is_the_same(command: Command) -> None:
    out = command("diff", "kinetics", "--set", "outputs.label.head.scale=1").out
    assert out.startswith("no difference between")
    assert difference(command, "kinetics", "--set", "outputs.label.head.scale=2")["settings"]


def test_what_follows_from_other_keys_is_marked(command: Command) -> None:
    found = difference(command, "kinetics", "--set", "latents.width=256")
    follows = {one["key"]: one["derived"] for one in found["settings"]}
    widths = [f"{part}.{key}" for part in ("process", "decode") for key in ("qk_width", "v_width")]
    assert follows == {"latents.width": False} | dict.fromkeys(widths, True)
    # language says the width of its queries, kinetics does not: it follows from nothing.
    found = difference(command, "kinetics", "language")
    derived = {one["key"]: one["derived"] for one in found["settings"]}
    assert (derived["process.qk_width"], derived["encode.heads"]) == (False, False)


@pytest.mark.parametrize(
    "said",
    [
        "inputs.audio.position.fourier.max_resolution=30720",
        "inputs.image.steps.0.patch={width: 4, height: 4}",
        "encode.v_width=704",
        "outputs.image.query.position.fourier.endpoint=false",
        "inputs.label.mask=always",
        "dims={}",
    ],
)
def test_a_default_that_is_written_out_is_no_difference(said: str, command: Command) -> None:
    assert command("diff", "kinetics", "--set", said).out == (
        f"no difference between kinetics and kinetics --set {quoted(said)}\n"
    )


def quoted(text: str) -> str:
    return f"'{text}'" if set(text) & set("{} ") else text


def test_what_a_key_that_is_left_out_means_is_tried(command: Command) -> None:
    """The stride of a convolution has no value where none is given, and is 1."""
    conv = "inputs.image.steps.0.conv"
    base = load_spec("imagenet_conv").spec.inputs["image"]
    assert base.steps[0].model_dump()["conv"]["stride"] == {"height": 2, "width": 2}  # type: ignore[union-attr]
    one = render_yaml(resolved_data(load_spec("imagenet_conv", [f"{conv}.stride={{}}"]).spec, {}))
    a = lower(parse_spec(one))
    for stride, keys in (("{width: 1}", []), ("{width: 1, height: 2}", [f"{conv}.stride.height"])):
        found = Comparison.of(a, lower(parse_spec(one, overrides=[f"{conv}.stride={stride}"])))
        told = [change.key for change in found.settings if not found.is_derived(change)]
        assert told == keys


PLACES = """
perceiver: 1
name: places
inputs:
  place: {shape: {item: 4, channel: 2}}
  x:
    shape: {item: 4, channel: 3}
    position: {fourier: {bands: 2, max_resolution: 8}, inputs: place}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 2}
outputs:
  y: {query: {learned: {}}, head: {linear: 2}, media: {classes: {}}}
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inputs.x.position.coordinates", ["east", "north"]),  # messages speak of them
        ("outputs.y.media.classes.names", ["cat", "dog"]),
        ("inputs.place.media", {"table": {}}),
    ],
)
def test_what_no_graph_shows_counts_too(key: str, value: Any) -> None:
    a, b = (lower(parse_spec(PLACES, overrides=some)) for some in ([], [f"{key}={value}"]))
    for found in (Comparison.of(a, b), Comparison.of(b, a)):
        assert [one.key for one in found.settings] == [key]
        assert found.same_results


def test_a_key_counts_that_only_one_of_them_uses(write: Any) -> None:
    """Without queries nothing is projected; `project` is a part of the model that has some."""
    queries = TINY[TINY.index("outputs:") :]
    mean = "outputs:\n  y: {query: {mean: latents}, head: {linear: 2}}\n"
    a = write("a", (queries, mean))
    asked = ("{mean: latents}", "{learned: {width: 8}}")
    b = write("b", (queries, mean), asked, ("chunks: 3", "chunks: 3, project: 8"))
    found = Comparison.of(lower(load_spec(a)), lower(load_spec(b)))
    assert "decode.project" in [one.key for one in found.settings]


def test_the_order_of_inputs_counts(write: Any, command: Command) -> None:
    second = "  z: {shape: {time: 4, channel: 6}}\n"
    one = write("one", ("latents:", f"{second}latents:"))
    two = write("two", ("  x: ", f"{second}  x: "))
    found = difference(command, one, two)
    (told,) = found["settings"]
    assert told == {
        "key": "inputs",
        "a": ["x", "z"],
        "b": ["z", "x"],
        "order": True,
        "derived": False,
    }
    assert (found["same_results"], found["same_tensors"]) == (False, True)
    assert "inputs (order)  [x, z]  [z, x]" in command("diff", one, two).out


def test_the_screen_in_the_documentation(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    page = (ROOT / "docs" / "diff.md").read_text(encoding="utf-8")
    shown = page.split("```\n")[1]
    words = shown.splitlines()[1].split()[2:]
    assert command("diff", "kinetics", *words).out == shown


def test_a_dialect_is_more_than_the_keys_say(command: Command) -> None:
    assert command("diff", "kinetics", "--set", "dialect=deepmind").out == (
        "A  kinetics\n"
        "B  kinetics --set dialect=deepmind\n"
        "All 183 tensors have the same names and shapes: weights of A load into B, which\n"
        "computes something else with them.\n"
        "next: perceiver-graph compile kinetics --set dialect=deepmind --weights WEIGHTS_OF_A\n"
        "\n"
        "settings            A            B\n"
        "dialect             huggingface  deepmind\n"
        "encode.activation   gelu         gelu_tanh  follows\n"
        "process.activation  gelu         gelu_tanh  follows\n"
        "decode.activation   gelu         gelu_tanh  follows\n"
        "\n"
        "operations           nodes  A       B\n"
        "gelu approximate        12  none    tanh\n"
        "initial value kind      11  normal  truncated_normal\n"
        "initial value kind      64  normal  fan_in\n"
        "initial value scale     60  0.02    1.1368472343385565\n"
        "initial value scale      4  0.02    1.0\n"
    )


def test_a_size_is_told_by_shapes_alone(command: Command) -> None:
    found = difference(command, "kinetics", "--set", "inputs.image.steps.0.patch.height=8")
    assert found["operations"] == []
    assert {one["of"] for one in found["shapes"]} == {"tokens of image", "tokens joined"}


def test_a_copy_computes_the_same(write: Any, command: Command) -> None:
    a, b = write("a"), write("b", ("name: tiny", "name: other"))
    assert command("diff", a, b).out == (
        f"A  {a}\n"
        f"B  {b}\n"
        "From the same arrays and weights, A and B compute the same.\n"
        f"next: perceiver-graph compile {b} --weights WEIGHTS_OF_A\n"
        "\n"
        "settings  A     B\n"
        "name      tiny  other\n"
    )
    found = difference(command, a, "--set", "latents.init_scale=0.5", "--set", "decode.chunks=4")
    assert (found["equal"], found["same_results"], found["same_tensors"]) == (False, True, True)
    assert difference(command, a, "--set", "process.heads=1")["same_results"] is False


def test_tensors(write: Any, command: Command) -> None:
    a = write("a")
    less, more = (", head: {linear: 4}", ""), ("chunks: 3", "chunks: 3, project: 3")
    b = write("b", less, more, ("count: 4", "count: 5"))
    found = difference(command, a, b)["parameters"]
    head, project = (
        [f"{module}.{name}" for name in ("weight", "bias")]
        for module in ("heads.label.linear", "decoder.project")
    )
    assert [one["name"] for one in found["only_a"]] == head
    assert [one["name"] for one in found["only_b"]] == project
    assert found["reshaped"] == [
        {"name": "latents", "a": [4, 8], "b": [5, 8]},
        {"name": "heads.y.linear.weight", "a": [2, 6], "b": [2, 3]},
    ]
    assert found["carry_over"]["tensors"] == found["tensors_a"] - 4 == found["tensors_b"] - 4
    counts = [lower(load_spec(path)).graph.parameter_count for path in (a, b)]
    assert [found["a"], found["b"]] == counts
    out = command("diff", a, b).out
    assert re.search(r"^only in A +2 +28$", out, re.M)  # 4 x 6 + 4
    assert re.search(r"^only in B +2 +21$", out, re.M)  # 3 x 6 + 3
    assert re.search(r"^decoder.project.weight +\[3, 6\]$", out, re.M)


def test_weights_load_where_it_is_said(write: Any, command: Command, tmp_path: Path) -> None:
    """And do not where it is not."""
    a, weights = write("a"), tmp_path / "a" / "weights.safetensors"
    assert command("compile", a, "-o", tmp_path / "a", "--backend", "torch").code == 0
    for key, code in (("process.norm_epsilon=0.1", 0), ("latents.count=5", 1)):
        out = command("diff", a, "--set", key).out
        next = [line for line in out.splitlines() if line.startswith("next: ")]
        assert [line.split()[2:] for line in next] == (
            [] if code else [["compile", str(a), "--set", key, "--weights", "WEIGHTS_OF_A"]]
        )
        words = ("compile", a, "--set", key, "--weights", weights, "-o", tmp_path / key)
        assert command(*words).code == code


def test_costs_are_those_of_inspect(write: Any, command: Command) -> None:
    a, b = write("a"), write("b", ("max: 32", "max: 64"))
    inspected = [json.loads(command("inspect", one, "--format", "json").out) for one in (a, b)]
    found = {(one["of"], one["figure"]): one for one in difference(command, a, b)["costs"]}
    told = found["encode", "peak_bytes_with_scores"]
    expected = [one["phases"]["encode"]["peak_bytes_with_scores"] for one in inspected]
    assert [told["a"], told["b"]] == expected
    assert found["run", "flops"]["b"] == inspected[1]["flops"]
    assert found["run", "peak_bytes"]["a"] == inspected[0]["run"]["peak_bytes"]
    assert "at length = 32 in A, length = 64 in B" in command("diff", a, b).out


def test_standard_input_is_read_once(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def give() -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TINY.encode())))

    give()
    out = command("diff", "-", "--set", "latents.count=5").out
    assert "latents.count  4  5" in out
    assert "next:" not in out
    give()
    assert command("diff", "-", "-").out == "no difference between - and -\n"


def test_what_is_wrong_with_either_is_told(write: Any, command: Command) -> None:
    a, b = write("a", ("heads: 2", "heads: 3")), write("b", ("width: 8}", "widht: 8}"))
    done = command("diff", a, b)
    assert (done.code, done.out) == (1, "")
    assert "PG204" in done.err
    assert "PG101" in done.err
    assert done.err.endswith("\n2 errors\n")
    done = command("diff", a, "--set", "latents.count=5")
    assert done.err.endswith("\n1 error\n")
    assert "--set latents.cuont=5" in command("diff", "kinetics", "--set", "latents.cuont=5").err


def test_models_with_nothing_in_common_fit_a_screen(command: Command) -> None:
    out = command("diff", "kinetics", "language").out
    assert "summary" not in out
    assert "and 12 more: --format json has all" in out
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) <= 80
