"""What the documentation says holds: specs, code, numbers, commands, links, messages, generated parts."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import perceiver_graph as pg
from perceiver_graph.cli import main
from perceiver_graph.cli.app import COMMANDS, app
from perceiver_graph.compiler import driver
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.diagnostics import DiagnosticError, render
from perceiver_graph.spec import load_spec, models, parse_spec
from perceiver_graph.spec.descriptions import descriptions
from perceiver_graph.spec.models import base, inputs, model, outputs, positions, steps
from tests import checkpoints_page
from tests.small import SMALL

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = ROOT / "docs" / "diagnostics.md"
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.M | re.S)
SPEC_KEYS = tuple(models.Spec.model_fields)

REST = {
    "perceiver": "perceiver: 1\n",
    "name": "name: rest\n",
    "inputs": "inputs:\n  label: {shape: {channel: 3}}\n",
    "latents": "latents: {count: 2, width: 8}\n",
    "process": "process: {layers: 1, heads: 2}\n",
    "outputs": "outputs:\n  answer: {query: {learned: {}}}\n",
}
"""What a fragment of a spec is completed with."""


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    return [body for info, body in BLOCK.findall(text_of(path)) if info == language]


SPECS = [
    pytest.param(body, id=f"{path.name}-{number}")
    for path in PAGES
    for number, body in enumerate(blocks(path, "yaml"), start=1)
]


@pytest.mark.parametrize("text", SPECS)
def test_every_yaml_block_is_a_valid_spec_or_whole_sections_of_one(text: str) -> None:
    """A block is a whole spec if it starts with `perceiver:`, else the other sections are added."""
    keys = re.findall(r"^(\w+):", text, re.M)
    assert keys
    assert set(keys) <= set(SPEC_KEYS), "a fragment has whole sections; fence others with ```"
    if not re.match(r"(#.*\n)*perceiver:", text):
        given = dict.fromkeys(keys)
        text += "".join(section for key, section in REST.items() if key not in given)
    lower(parse_spec(text, "block.yaml"))


def test_generated_pages_are_current() -> None:
    module = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    stale = [path.name for path, text in module["generated"]().items() if text_of(path) != text]
    assert not stale, "run docs/generate.py"


def test_every_field_of_the_spec_language_has_a_description() -> None:
    bare = [
        f"{kind.__name__}.{name}"
        for module in (base, inputs, model, outputs, positions, steps)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseModel)
        for name in kind.model_fields
        if name not in descriptions(kind)
    ]
    assert not bare


def test_every_relative_link_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", text_of(page)):
            if target.startswith(("http://", "https://")):
                continue
            path = page.parent / target if target else page
            if not path.exists() or (anchor and anchor[1:] not in anchors(path)):
                broken.append(f"{page.name}: {target}{anchor}")
    assert not broken


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text_of(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_path_that_is_named_exists() -> None:
    named = [
        (page.name, path.split(":")[0])
        for page in PAGES
        if page != GENERATED
        for path in re.findall(
            r"`((?:perceiver_graph|tests|docs|specs|examples|benchmarks)/[\w./-]*)`",
            text_of(page),
        )
    ]
    assert named
    assert not [(page, path) for page, path in named if not (ROOT / path).exists()]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.M))
    named = {
        target
        for page in PAGES
        if page != GENERATED
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", text_of(page), re.M)
    }
    assert named
    assert named <= targets


def commands() -> dict[str, Any]:
    """Every command of the program by name."""
    import click
    import typer

    group: Any = typer.main.get_command(app)
    return {name: group.get_command(click.Context(group), name) for name in COMMANDS}


def test_the_readme_lists_exactly_the_commands() -> None:
    section = text_of(ROOT / "README.md").partition("## Commands")[2]
    listing = BLOCK.search(section)
    assert listing
    assert sorted(re.findall(r"^perceiver-graph (\w+)", listing[2], re.M)) == sorted(COMMANDS)


def test_every_command_and_option_that_is_named_exists() -> None:
    """Wherever a command is written out, in a block or between backticks."""
    known = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in commands().items()
    }
    wrong = []
    for page in PAGES:
        for line in re.findall(r"(?:^|`|\$ )perceiver-graph ([a-z][^`\n]*)", text_of(page), re.M):
            name, _, rest = line.partition(" ")
            options = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", rest)) - {"-h", "--help"}
            if name not in known or not options <= known[name]:
                wrong.append(f"{page.name}: {line}")
    assert not wrong


@pytest.fixture(scope="module")
def kinetics() -> Lowered:
    return lower(load_spec(ROOT / "specs" / "kinetics.yaml"))


def test_the_numbers_of_the_readme(kinetics: Lowered) -> None:
    readme = " ".join(text_of(ROOT / "README.md").split())
    tokens, width = kinetics.input_array
    queries, query_width = kinetics.query_array
    said = (
        f"inputs {tokens} x {width}, latents {kinetics.latents[0]} x {kinetics.latents[1]}, "
        f"queries {queries} x {query_width} in each of {kinetics.chunks} chunks, "
        f"{kinetics.graph.parameter_count:,} parameters"
    )
    assert said in readme
    assert said.startswith("inputs 52097 x 704, latents 784 x 512, queries 6288 x 1026")


def test_the_spec_of_the_readme_is_the_shipped_one_in_short(kinetics: Lowered) -> None:
    (text,) = blocks(ROOT / "README.md", "yaml")
    short, whole = parse_spec(text, "README.md").spec, kinetics.document.spec
    for key in ("name", "join", "latents", "encode", "process", "decode"):
        assert getattr(short, key) == getattr(whole, key)
    without_media = {
        name: modality.model_copy(update={"media": None}) for name, modality in whole.inputs.items()
    }
    assert short.inputs == without_media
    assert short.outputs["label"].query == whole.outputs["label"].query
    assert lower(parse_spec(text, "README.md")).input_array == kinetics.input_array


def test_the_message_of_the_readme_is_what_the_mistake_gives() -> None:
    spec = text_of(ROOT / "specs" / "kinetics.yaml")
    wrong = spec.replace("patch: {height: 4, width: 4}", "patch: {height: 5, width: 4}")
    assert wrong != spec
    with pytest.raises(DiagnosticError) as error:
        lower(parse_spec(wrong, "specs/kinetics.yaml"))
    printed = render(error.value.diagnostics, "full")
    assert printed in blocks(ROOT / "README.md", "")


@pytest.fixture(scope="module")
def roadside() -> Compiled:
    """The worked example of docs/spec.md."""
    text = next(text for text in blocks(ROOT / "docs" / "spec.md", "yaml") if "roadside" in text)
    return pg.compile(parse_spec(text, "roadside.yaml"))


def test_the_shapes_of_the_worked_example(roadside: Compiled) -> None:
    """The numbers in its comments and in the text around it."""
    widths = {name: m.channels for name, m in roadside.lowered.modalities.items()}
    counts = {name: int(m.count) for name, m in roadside.lowered.modalities.items()}
    assert widths == {"lidar": 64 + 32, "sound": 4 * 8 + 2 * (2 * 16 + 1), "weather": 6}
    assert counts == {"lidar": 4096, "sound": 32 * 8, "weather": 1}
    tokens, width = roadside.lowered.input_array
    assert (int(tokens), width) == (4096 + 32 * 8 + 1, 100)
    page = text_of(ROOT / "docs" / "spec.md")
    assert "widths 96, 98 and 6 become 100" in page
    assert "4 divides the keys' width, 100" in page


def test_the_worked_example_runs_in_onnxruntime_and_in_torch(
    roadside: Compiled, tmp_path: Path
) -> None:
    """Inputs and outputs as the text around it says, through the calls that README.md shows."""
    import torch

    rng = np.random.default_rng(0)
    arrays = {
        "lidar": rng.standard_normal((1, 4096, 4)).astype(np.float32),
        "sound": rng.standard_normal((1, 128, 64, 1)).astype(np.float32),
        "weather": np.array([3]),
    }
    roadside.save(tmp_path / "roadside")
    program = pg.load(tmp_path / "roadside")
    state = program.encode(arrays)
    results = program.decode(state)
    assert {name: list(array.shape) for name, array in results.items()} == {
        "map": [1, 32, 32, 1],
        "manoeuvre": [1, 3],
    }
    some = program.decode(state, {"map": slice(0, 7), "manoeuvre": None})
    np.testing.assert_array_equal(some["manoeuvre"], results["manoeuvre"])
    np.testing.assert_allclose(some["map"], results["map"].reshape(1, -1, 1)[:, :7], atol=1e-6)
    with torch.no_grad():
        other = roadside.to_torch()({name: torch.from_numpy(a) for name, a in arrays.items()})
    assert set(other) == set(results)
    for name, array in results.items():
        np.testing.assert_allclose(other[name].numpy().reshape(array.shape), array, atol=1e-5)


def given_to_the_readme(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The spec where it says, less wide and less deep but with frames of the same size, and a clip."""
    less = (
        *("latents.count=8", "latents.width=64", "process.layers=1", "decode.project=32"),
        *(f"inputs.{name}.position.fourier.bands=4" for name in ("audio", "image")),
        *(f"outputs.{name}.query.position.fourier.bands=4" for name in ("audio", "image")),
        "outputs.label.query.learned.width=64",
    )
    monkeypatch.setattr(
        driver, "lower_spec", lambda spec, _: lower(load_spec(spec, overrides=less))
    )
    Path("specs").symlink_to(ROOT / "specs")
    rng = np.random.default_rng(0)
    audio = rng.uniform(-1, 1, (1, 30720, 1)).astype(np.float32)
    image = rng.uniform(-1, 1, (1, 16, 224, 224, 3)).astype(np.float32)
    return {"audio": audio, "image": image}


def after_the_readme(names: dict[str, Any]) -> None:
    """What is asked of the program is what the module gives for it."""
    import torch

    inputs = {name: torch.from_numpy(names[name]) for name in ("audio", "image")}
    with torch.no_grad():
        found = names["model"](inputs, {"image": torch.arange(5)})
    assert names["label"].shape == (1, 700)
    assert names["frame"].shape == (1, 224 * 224, 3)
    for some, other in ((names["label"], found["label"]), (names["frame"][:, :5], found["image"])):
        largest = np.abs(some).max()
        np.testing.assert_allclose(some, other.reshape(some.shape), rtol=0, atol=1e-3 * largest)


def after_training(names: dict[str, Any]) -> None:
    """The program is the trained module; layers are checkpointed, and sharded once called."""
    import torch
    import torch.distributed as dist
    from torch.distributed.fsdp import FSDPModule

    model = names["model"]
    assert names["scores"].shape == (2, 35)
    wrapped = [m for m in model.modules() if type(m).__name__ == "CheckpointWrapper"]
    layers = [m for m in model.modules() if type(m).__name__ == "SelfAttendLayer"]
    assert len(wrapped) == len(layers) > 0
    audio = np.random.default_rng(0).uniform(-1, 1, (1, 16000, 1)).astype(np.float32)
    untrained = names["compiled"].to_torch()
    with torch.no_grad():
        before, after = (m({"audio": torch.from_numpy(audio)})["label"] for m in (untrained, model))
    found = pg.load("build/trained").run({"audio": audio})["label"]
    np.testing.assert_allclose(found, after, atol=1e-5)
    assert np.abs(found - before.numpy()).max() > 1e-3
    dist.init_process_group(
        "gloo", init_method=Path("group").absolute().as_uri(), rank=0, world_size=1
    )
    try:
        names["shard"](untrained)
    finally:
        dist.destroy_process_group()
    assert sum(isinstance(m, FSDPModule) for m in untrained.modules()) == len(layers) + 1


def given_to_the_page_on_shapes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A small decoder, and latents for it."""
    compiled = pg.compile("hunyuan3d_decoder", overrides=SMALL["hunyuan3d_decoder"])
    compiled.save("build/decoder", seed=1)
    Path("build/inputs").mkdir()
    latents = np.random.default_rng(0).standard_normal((9, 64), np.float32)
    np.savez("build/inputs/shape.npz", shape=latents)
    return {}


def after_the_page_on_shapes(names: dict[str, Any]) -> None:
    """129 points an axis are asked from a grid of 33 on: not all of them."""
    assert not names["found"].asked.all()
    assert names["found"].values.shape == (129, 129, 129)


def given_to_first_steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `new` wrote."""
    assert main(["new", "demo"]) == 0
    return {}


def after_first_steps(names: dict[str, Any]) -> None:
    """Learnt by one step, and written."""
    assert names["label"].shape == (1, 10)
    found = pg.load("build/trained").run(names["arrays"])["label"]
    assert np.abs(found - names["label"]).max() > 1e-4


GIVEN: dict[str, Callable[[pytest.MonkeyPatch], dict[str, Any]]] = {
    "README.md": given_to_the_readme,
    "docs/checkpoints.md": checkpoints_page.given,
    "docs/first_steps.md": given_to_first_steps,
    "docs/tasks/shapes.md": given_to_the_page_on_shapes,
}
"""What the blocks of a page take from its reader."""
AFTER: dict[str, Callable[[dict[str, Any]], None]] = {
    "docs/tasks/shapes.md": after_the_page_on_shapes,
    "README.md": after_the_readme,
    "docs/checkpoints.md": checkpoints_page.after,
    "docs/first_steps.md": after_first_steps,
    "docs/training.md": after_training,
}
"""What must hold of the names that the blocks of a page leave."""
PYTHON_PAGES = {path.relative_to(ROOT).as_posix(): path for path in PAGES if blocks(path, "python")}
del PYTHON_PAGES["docs/extending.md"]  # files that tests/test_extensions.py runs in other processes


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_every_python_block_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one page one after the other, with the names of those before."""
    monkeypatch.chdir(tmp_path)
    names = GIVEN[page](monkeypatch) if page in GIVEN else {}
    text = text_of(PYTHON_PAGES[page])
    for block in BLOCK.finditer(text):
        if block[1] == "python":
            above = "\n" * text.count("\n", 0, block.start(2))  # a traceback names the page's line
            exec(compile(above + block[2], page, "exec", dont_inherit=True), names)
    if page in AFTER:
        AFTER[page](names)


def test_what_is_given_to_a_page_is_given_to_one_that_has_blocks() -> None:
    assert {*GIVEN, *AFTER} <= set(PYTHON_PAGES)


def test_fine_tuning_takes_ten_lines() -> None:
    """From a published model to predictions of one's own, behind what is imported."""
    lines = blocks(ROOT / "docs/checkpoints.md", "python")[0].splitlines()
    assert len([line for line in lines if line and not line.startswith("import ")]) <= 10


def test_no_block_escapes_by_how_it_is_fenced() -> None:
    """Another word for Python, or a fence within a list, would be a block that nothing runs."""
    fences = [
        (p.name, f) for p in PAGES for f in re.findall(r"^.*(?:```|~~~).*$", text_of(p), re.M)
    ]
    known = {"```", "```python", "```sh", "```yaml"}
    assert not [(name, fence) for name, fence in fences if fence not in known]
