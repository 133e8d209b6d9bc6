"""The library as people use it in Python: specs as text and mappings, short reprs, plain errors."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import perceiver_graph as pg
from perceiver_graph.cluster import run_batch
from perceiver_graph.runtime import Program
from perceiver_graph.runtime.program import State
from perceiver_graph.runtime.run import run_files
from perceiver_graph.spec.glance import Glance

TEXT = """\
perceiver: 1
name: tiny
inputs:
  image: {shape: {height: 4, width: 4, channel: 3}, position: {fourier: {bands: 2}}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {}}
outputs:
  label: {query: {learned: {}}, head: {linear: 5}}
  dense: {query: {grid: {time: 20}, position: {fourier: {bands: 2}}}, head: {linear: 2}}
"""
DATA: dict[str, Any] = {
    "perceiver": 1,
    "name": "tiny",
    "inputs": {
        "image": {
            "shape": {"height": 4, "width": 4, "channel": 3},
            "position": {"fourier": {"bands": 2}},
        }
    },
    "latents": {"count": 3, "width": 8},
    "process": {"layers": 1, "heads": 2},
    "decode": {"padding": {}},
    "outputs": {
        "label": {"query": {"learned": {}}, "head": {"linear": 5}},
        "dense": {
            "query": {"grid": {"time": 20}, "position": {"fourier": {"bands": 2}}},
            "head": {"linear": 2},
        },
    },
}
X = {"image": np.zeros((1, 4, 4, 3), np.float32)}


class Dialect(StrEnum):
    """What a program may have its settings as."""

    DEEPMIND = "deepmind"


@dataclass
class Made:
    """One of everything that people hold."""

    compiled: Any
    program: Program
    state: State


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made") / "tiny"
    compiled = pg.compile(TEXT)
    compiled.save(folder)
    program = pg.load(folder, device="cpu")
    return Made(compiled, program, program.encode(X))


def changed(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(DATA) | changes


# Specs as text and as mappings


def test_text_and_mapping_say_what_a_file_says(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TEXT, encoding="utf-8")
    wanted = pg.load_spec(tmp_path / "tiny.yaml").spec
    one_line = "{" + ", ".join(f"{key}: {value}" for key, value in DATA.items()) + "}"
    for given in (TEXT, DATA, MappingProxyType(DATA), one_line.replace("'", ""), wanted):
        assert pg.load_spec(given).spec == wanted
        assert (
            pg.compile(given).resolved_spec() == pg.compile(tmp_path / "tiny.yaml").resolved_spec()
        )
    assert pg.load_spec(DATA, ["latents.count=7"]).spec.latents.count == 7


def test_values_of_numpy_tuples_and_enumerations_are_plain_values() -> None:
    data = changed(
        latents={"count": np.int64(3), "width": np.array(8)},
        dialect=Dialect.DEEPMIND,
        summary="on: 1e-3\nline",
    )
    data["inputs"]["image"]["steps"] = ({"linear": 6},)
    spec = pg.load_spec(data).spec
    assert (spec.latents.count, spec.dialect, spec.summary) == (3, "deepmind", "on: 1e-3\nline")
    assert len(spec.modalities["image"].steps) == 1


def test_a_mapping_is_blamed_in_the_text_that_it_stands_for() -> None:
    with pytest.raises(pg.DiagnosticError) as caught:
        pg.compile(changed(latents={"count": 3, "widht": 8}))
    text = str(caught.value)
    assert "--> <mapping>:" in text
    assert "latents: {count: 3, widht: 8}" in text
    assert "did you mean `width`?" in text


@pytest.mark.parametrize(
    ("value", "place"),
    [({3, 4}, "latents.count"), (object(), "latents.count"), (b"3", "latents.count")],
)
def test_what_no_spec_can_hold_is_told_with_its_place(value: Any, place: str) -> None:
    with pytest.raises(TypeError, match=f"the spec's `{place}` must be text, a number"):
        pg.load_spec(changed(latents={"count": value, "width": 8}))


def test_a_mapping_that_holds_itself_is_refused() -> None:
    data = changed()
    data["inputs"]["image"] = data
    with pytest.raises(ValueError, match="hold itself"):
        pg.load_spec(data)


def test_a_file_goes_before_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("{a}.yaml").write_text(TEXT, encoding="utf-8")
    assert pg.load_spec("{a}.yaml").spec.name == "tiny"
    with pytest.raises(pg.DiagnosticError, match="PG001"):
        pg.load_spec(Path("{b}.yaml"))


# What is shown


def test_the_error_says_everything_that_check_prints() -> None:
    with pytest.raises(pg.DiagnosticError) as caught:
        pg.compile(TEXT.replace("heads: 2", "heads: 3"))
    text = str(caught.value)
    for part in (
        "error[PG2",
        "--> <text>:6:",
        "process: {layers: 1, heads: 3}",
        "= help: ",
        "1 error",
    ):
        assert part in text
    assert "\x1b" not in text


class _Tags(HTMLParser):
    """Counts what is opened and not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_screen(thing: Any, *parts: str) -> None:
    for text in (repr(thing), str(thing)):
        assert max(map(len, text.splitlines())) <= 79
        assert len(text.splitlines()) <= 24
        for part in parts:
            assert part in text
    html = thing._repr_html_()
    assert len(html) < 6000
    tags = _Tags()
    tags.feed(html)
    assert tags.open == []


def test_everything_people_hold_fits_a_screen(made: Made) -> None:
    compiled, image = made.compiled, "float32 [batch, height 4, width 4, channel 3]"
    check_screen(compiled, "Compiled tiny:", "parameters", "output dense", image)
    check_screen(made.program, "Program tiny: fp32 on cpu", image)
    check_screen(made.state, "State of tiny on cpu: 1 batch element", "latents")
    check_screen(compiled.lowered.document, "Spec tiny (<text>)", "height 4, width 4, channel 3")
    check_screen(compiled.lowered.document.spec, "Spec tiny", "3 x 8", "grid query")
    check_screen(compiled.graph, "Graph tiny:", "nodes")
    check_screen(compiled.lowered, "Lowered tiny")
    check_screen(compiled.programs(compiled.weights()), "encode", "decode")
    check_screen(made.program.manifest, "Manifest tiny", image)
    check_screen(made.program.artifact, "Artifact ", image)


@pytest.mark.parametrize("name", ["kinetics", "glue_multitask", "starcraft"])
def test_large_models_fit_a_screen_too(name: str) -> None:
    compiled = pg.compile(name)
    for thing in (compiled, compiled.graph, compiled.lowered.document.spec):
        check_screen(thing)


def test_many_rows_and_long_names_are_cut_and_nothing_steers_the_screen() -> None:
    hostile = "<script>\x1b[31m" + "x" * 500
    glance = Glance(hostile, tuple((f"{hostile} {n}", hostile) for n in range(1000)))

    class Held:
        __repr__ = glance.text
        _repr_html_ = glance.html

    check_screen(Held(), "984 more", "\\x1b[31m")
    assert "<script>" not in glance.html()


# Arguments of the wrong kind

Call = Callable[[Made], object]
KINDS: dict[str, Call] = {
    "spec must be a path, .* not an int .3.": lambda m: pg.compile(3),  # type: ignore[arg-type]
    "spec must be a path, .* not None": lambda m: pg.load_spec(None),  # type: ignore[arg-type]
    "spec must be .* YAML text or a mapping, not a list": lambda m: pg.compile([1]),  # type: ignore[arg-type]
    "overrides must be a list": lambda m: pg.compile(TEXT, overrides="name=a"),
    "each of overrides must be": lambda m: pg.compile(TEXT, overrides=[3]),  # type: ignore[list-item]
    "memory must be a number of bytes": lambda m: pg.compile(TEXT, memory="1GB"),  # type: ignore[arg-type]
    "path must be the folder of an artifact, not None": lambda m: pg.load(None),  # type: ignore[arg-type]
    "path must be the folder of an artifact, not a Comp": lambda m: pg.load(m.compiled),
    "inputs must be a mapping of arrays": lambda m: m.program.run([1]),  # type: ignore[arg-type]
    "inputs must be .*, not a ndarray": lambda m: m.program.encode(X["image"]),  # type: ignore[arg-type]
    'decoded must be .*"label": None': lambda m: m.program.run(X, ["label"]),  # type: ignore[arg-type]
    "memory must be .* not a float": lambda m: m.program.run(X, memory=1e9),  # type: ignore[arg-type]
    "sizes must be a mapping .* not a list": lambda m: m.program.run(X, sizes=["n"]),  # type: ignore[arg-type]
    "memory must be .* not a str": lambda m: m.program.decode(m.state, memory="1"),  # type: ignore[arg-type]
    "state must be the State that encode returns": lambda m: m.program.decode(X),  # type: ignore[arg-type]
    "seed must be a whole number": lambda m: m.compiled.weights(seed=1.5),
    "weights must be a path, arrays by name .* or a module": lambda m: m.compiled.to_torch(3),
    "directory must be a path, not None": lambda m: m.compiled.save(None),
    "backends must be a list": lambda m: m.compiled.save("x", backends="onnx"),
    "sample must be .*`perceiver-graph compile SPEC .*--calibrate IN.npz": lambda m: (
        m.compiled.save("x", sample=3)
    ),
    "files must be a list .* not a str": lambda m: run_files(m.program, "a.png", "out"),
    "program must be a Program, `pg.load.PATH.`, not": lambda m: run_files("x", [], "o"),  # type: ignore[arg-type]
    "inputs must be a list .* not a str": lambda m: run_batch("x", "a.png", "out"),
    "sizes must be a list .* not a str": lambda m: run_batch("x", ["a"], "out", sizes="n=3"),
}
CALLS: dict[str, Call] = {
    "compile has no argument `override`: did you mean `overrides=`": lambda m: pg.compile(
        TEXT,
        override=["name=a"],  # type: ignore[call-arg]
    ),
    "compile .* `calibrate`: .*--calibrate IN.npz": lambda m: pg.compile(TEXT, calibrate=1),  # type: ignore[call-arg]
    "compile has no argument `frobnicate`: they are `spec`, `overrides`": lambda m: pg.compile(
        TEXT,
        frobnicate=3,  # type: ignore[call-arg]
    ),
    "compile takes `spec` by place, and 2 arguments were given so": lambda m: pg.compile(
        TEXT,
        "cuda",  # type: ignore[call-arg]
    ),
    "compile needs `spec`: `compile.SPEC.`": lambda m: pg.compile(),  # type: ignore[call-arg]
    "load has no argument `map_location`: `load.PATH, device=": lambda m: pg.load(
        m.program.artifact.directory,
        map_location="cpu",  # type: ignore[call-arg]
    ),
    'run has no argument `image`: inputs are .* `{"image": ARRAY}`': lambda m: m.program.run(**X),  # type: ignore[arg-type]
    'run has no argument `input_ids`: inputs .*`{"image"': lambda m: m.program(input_ids=3),  # type: ignore[call-arg]
    "run has no argument `size`: did you mean `sizes=`": lambda m: m.program.run(X, size={}),  # type: ignore[call-arg]
    "run needs `inputs`: `run.INPUTS.`": lambda m: m.program(),  # type: ignore[call-arg]
    'inputs must be a mapping of arrays, {"image": ARRAY}': lambda m: m.program(X["image"]),  # type: ignore[arg-type]
    "encode has no argument `image`": lambda m: m.program.encode(**X),  # type: ignore[arg-type]
    "to_torch has no argument `device`: `to_torch.WEIGHTS..to.": lambda m: m.compiled.to_torch(
        device="cpu"
    ),
    "save has no argument `backend`: it is called `backends`": lambda m: m.compiled.save(
        "x", backend="torch"
    ),
    "what compile returns cannot be called": lambda m: m.compiled(X),
}
ATTRIBUTES: dict[str, Call] = {
    "'Compiled' object has no attribute 'run': it has no weights": lambda m: m.compiled.run,
    "'Compiled' .* 'cuda': `to_torch.WEIGHTS..to.": lambda m: m.compiled.cuda,
    "'Program' .* 'to': `load.PATH, device=": lambda m: m.program.to,  # type: ignore[attr-defined]
    "'Program' object has no attribute 'zebra'$": lambda m: m.program.zebra,  # type: ignore[attr-defined]
}
VALUES: dict[str, Call] = {
    "level 7 is not one of 0, 1, 2": lambda m: pg.compile(TEXT, level=7),  # type: ignore[arg-type]
    "level True is not one of": lambda m: pg.compile(TEXT, level=True),  # type: ignore[arg-type]
    "device 5 is not one of cpu, cuda": lambda m: pg.compile(TEXT, device=5),  # type: ignore[arg-type]
    "target 5 is not one of cpu, cuda": lambda m: pg.compile(TEXT, target=5),  # type: ignore[arg-type]
    "precision 'fp8' is not one of fp32": lambda m: pg.compile(TEXT, precision="fp8"),  # type: ignore[arg-type]
    "device 5 is not one of auto": lambda m: pg.load(m.program.artifact.directory, device=5),  # type: ignore[arg-type]
    "backend 'jax' is not one of onnx": lambda m: m.compiled.save("x", backends=["jax"]),
    "seed must be a whole number, 0 or more, not -1": lambda m: m.compiled.weights(seed=-1),
    "too late for a Document": lambda m: pg.compile(pg.load_spec(TEXT), overrides=["name=b"]),
}


@pytest.mark.parametrize("said", KINDS)
def test_an_argument_of_the_wrong_kind_says_what_was_wanted(said: str, made: Made) -> None:
    with pytest.raises(TypeError, match=said):
        KINDS[said](made)


@pytest.mark.parametrize("said", CALLS)
def test_a_call_that_does_not_fit_says_what_would(said: str, made: Made) -> None:
    with pytest.raises(TypeError, match=said):
        CALLS[said](made)


@pytest.mark.parametrize("said", ATTRIBUTES)
def test_what_others_have_is_answered(said: str, made: Made) -> None:
    with pytest.raises(AttributeError, match=said):
        ATTRIBUTES[said](made)


def test_an_error_inside_of_a_call_is_as_it_was(made: Made) -> None:
    with pytest.raises(TypeError) as raised:
        made.program.run(X, progress=3)  # type: ignore[arg-type]
    assert str(raised.value) == "'int' object is not callable"


def test_a_program_is_called_like_a_function(made: Made) -> None:
    for name, found in made.program(X, {"label": None}).items():
        np.testing.assert_array_equal(found, made.program.run(X, {"label": None})[name])


@pytest.mark.parametrize("said", VALUES)
def test_a_value_that_is_none_of_the_choices_lists_them(said: str, made: Made) -> None:
    with pytest.raises(ValueError, match=said):
        VALUES[said](made)


@pytest.mark.parametrize(
    "chosen", [slice(0.5, 3), "0:3", [[1], [1, 2]], 3, np.ones(20, bool), [2**70], slice(0, 3, 0)]
)
def test_positions_of_the_wrong_kind_are_diagnostics(chosen: Any, made: Made) -> None:
    with pytest.raises(pg.DiagnosticError, match="PG506"):
        made.program.run(X, {"dense": chosen})


# Weights that the caller has


def test_a_module_without_torch_is_refused(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(pg.DiagnosticError) as raised:
        made.compiled.to_torch()
    (found,) = raised.value.diagnostics
    assert found.code == "PG509"
    assert found.help == "`pip install 'perceiver-graph[torch]'`"


def test_weights_may_be_arrays_or_tensors_by_name(made: Made, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values = made.compiled.weights(seed=3)
    made.compiled.save(tmp_path / "a", weights=values)
    module = made.compiled.to_torch(values)
    made.compiled.save(tmp_path / "b", weights=module.state_dict())
    made.compiled.save(tmp_path / "module", weights=module)
    made.compiled.save(tmp_path / "c", seed=3)
    answers = [
        pg.load(tmp_path / name, device="cpu").run(X)["dense"] for name in ("a", "b", "c", "module")
    ]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    np.testing.assert_array_equal(answers[0], answers[3])
    assert pg.load(tmp_path / "a").manifest.weights == "arrays given in Python"
    half = {name: torch.from_numpy(value).bfloat16() for name, value in values.items()}
    assert made.compiled.weights(half)["latents"].dtype == np.float32


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda w: w.pop("latents"), "PG302"),
        (lambda w: w.update(zebra=np.zeros(3, np.float32)), "PG303"),
        (lambda w: w.update(latents=np.zeros(3, np.float32)), "PG304"),
        (lambda w: w.update(latents=np.full((3, 8), "a")), "PG305"),
        (lambda w: w.update(latents=np.full((3, 8), np.nan)), "PG308"),
    ],
)
def test_weights_that_do_not_fit_are_diagnostics(
    change: Callable[[dict[str, Any]], object], code: str, made: Made
) -> None:
    values = made.compiled.weights()
    change(values)
    with pytest.raises(pg.DiagnosticError, match=code):
        made.compiled.to_torch(values)
