"""Every command of README and docs runs as it is printed, in the order of its page.

In the quick tests, shipped specs have their small sizes: a file `language` in the folder goes before
the shipped spec of that name. At full size, the pages show what comes out of their commands.
"""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perceiver_graph.cli import main
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.render import render_yaml, resolved_data
from tests import import_support, local_hub
from tests.small import SMALL
from tests.support import random_inputs
from tests.test_docs import PAGES, blocks
from tests.test_extensions import PLAIN

ROOT = Path(__file__).parents[1]
RUNNER = runpy.run_path(str(ROOT / "docs" / "pages.py"))
ELSEWHERE = {
    "make": "CI runs `make test` and `make test-full`; the others prepare or measure",
    "pip": "tests/test_install.py",
    "python3": "tests/test_install.py",
    ".": "tests/test_install.py",
    ".venv/bin/python": "tests/test_benchmarks.py",
    "benchmarks/gpu.sh": "tests/test_gpu_benchmark.py",
    "build/cluster-env/bin/python": "tests/test_batch_ray.py",
}
"""What is not run here, by its first word, and what runs it."""
CHECKPOINTS = {
    "imagenet": "ImageClassificationConvProcessing",
    "kinetics": "MultimodalAutoencoding",
    "language": "MaskedLM",
    "optical_flow": "OpticalFlow",
    "text_classification": "SequenceClassification",
    "training": "ImageClassificationFourier",
}
"""The checkpoint that stands for FOLDER on a page."""
PUBLISHED: dict[str, dict[str, Any]] = {
    "MaskedLM": {"vocab_size": 262, "max_position_embeddings": 128},
    "MultimodalAutoencoding": {},
}
"""What stands for the models of the hub that a page names."""
FULL = {
    "starcraft",
    "ip_adapter_plus",
    "xtts_conditioner",
    "chatterbox_conditioner",
    "aurora_level_encoder",
    "aurora_level_decoder",
    "tabicl_columns",
    "perceiver_actor",
}
"""Systems whose page has a table that fits their full size."""
LARGER = {
    "ip_adapter_plus_sdxl": ("inputs.image.shape={patch: 257, channel: 1280}",),
    "openflamingo_resampler": (
        "inputs.image.shape={patch: 256, channel: 1024}",
        "latents.width=1024",
        "encode.widening=1",
    ),
    "idefics_resampler": (
        "inputs.image.shape={patch: 257, channel: 1280}",
        "latents.width=1280",
        "layers.widening=1",
    ),
    "idefics2_connector": (
        "inputs.image.shape.channel=4096",
        "dims.patches.max=256",
        "latents.width=4096",
        "encode.v_width=64",
        "encode.cross_attends=1",
    ),
    "aria_projector": (
        "dims.side={min: 35, max: 70, multiple_of: 35}",
        "inputs.image.shape.channel=1152",
        "latents={count: 3 * side / 35, width: 1152}",
    ),
    "perceiver_ar": ("dims.length={min: 1025, max: 4096}", "latents.last=1024"),
    "luna": (
        "dims.electrodes.max=32",
        "inputs.signal.shape.channel=64",
        "latents={count: 4, width: 64}",
        "outputs.label.query.learned.width=256",
    ),
    "poyo": (
        "dims.spikes.max=1000",
        "inputs.spikes.steps.0.embedding.vocabulary.unit=1000",
        "inputs.session.steps.0.embedding.vocabulary=100",
    ),
    "hunyuan3d_decoder": ("inputs.shape.shape.latent=4096", "latents.last=4096"),
    "optical_flow": ("inputs.frames.shape.height=120", "inputs.frames.shape.width=160"),
}
"""What else is set so that the files of the pages do, in no time: all latents, few tiles."""
SHOWN_PAGES = {path.relative_to(ROOT).as_posix(): path for path in PAGES if blocks(path, "sh")}
del SHOWN_PAGES["docs/serve.md"]  # a server, and what asks it: tests/test_serve.py runs it


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a clone has, and small specs by the names of the shipped ones."""
    monkeypatch.chdir(tmp_path)
    for name in RUNNER["LINKED"]:
        Path(name).symlink_to(ROOT / name)
    for name, settings in SMALL.items():
        if name in LARGER:  # the later of two settings holds
            settings = (*settings, *LARGER[name])
        elif any(setting.startswith("dims.length") for setting in settings):
            settings = (*settings, "dims.length.max=128")
        spec = load_spec(name, overrides=() if name in FULL else list(settings)).spec
        Path(name).write_text(render_yaml(resolved_data(spec, {})), encoding="utf-8")
    return tmp_path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub, with small models by the names of the published ones."""
    monkeypatch.setenv("PERCEIVER_GRAPH_CACHE", str(tmp_path / "compiled"))
    with local_hub.served() as served:
        local_hub.be_the_hub(served, tmp_path / "downloads", monkeypatch)
        for name, (short_class, settings) in zip(
            ("language", "multimodal"), PUBLISHED.items(), strict=True
        ):
            made = import_support.model(short_class, **settings)
            folder = import_support.save(made, tmp_path / "hub" / name)
            served.repositories[f"deepmind/{name}-perceiver"] = local_hub.Repository(folder)
        yield


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.full] * (page == "docs/training.md"))
        for page in SHOWN_PAGES
    ],
)
def test_every_command_runs_as_printed(
    page: str, clone: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    path = SHOWN_PAGES[page]
    texts = blocks(path, "sh")
    if any(" deepmind/" in text for text in texts):
        request.getfixturevalue("hub")
    if any("FOLDER" in text for text in texts):
        import_support.save(import_support.model(CHECKPOINTS[path.stem]), clone / "FOLDER")
    for block in blocks(path, "yaml"):
        if "name: roadside" in block:
            reader_has(block)
    if any(" recipes/" in text for text in texts):
        (clone / "recipes").symlink_to(ROOT / "recipes")
    if any("my_steps.py" in text for text in texts):
        Path("my_model.yaml").write_text(PLAIN, encoding="utf-8")
        shutil.copy(ROOT / "tests" / "extensions" / "step.py", "my_steps.py")
    ran = 0
    for words in (words for text in texts for words in RUNNER["commands"](text)):
        if "--extension" in words:  # what it defines would stay in this process
            program = [sys.executable, "-m", "perceiver_graph", *words[1:]]
            subprocess.run(program, check=True, capture_output=True)
        elif words[0] == "perceiver-graph":
            assert main(words[1:]) == 0, f"{words}: {capsys.readouterr().err}"
        elif words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], check=True, capture_output=True)
        elif words[0] == "torchrun":
            start = [sys.executable, "-m", "torch.distributed.run", *words[1:]]
            subprocess.run(start, check=True, capture_output=True)
        else:
            assert words[0] in ELSEWHERE, f"{words} is run by nothing"
            continue
        ran += 1
    assert ran or path.name in ("README.md", "CONTRIBUTING.md")


def reader_has(block: str) -> None:
    """The spec of docs/spec.md in a file, and arrays for its inputs."""
    Path("roadside.yaml").write_text(block, encoding="utf-8")
    document = load_spec("roadside.yaml")
    arrays = random_inputs(lower(document))
    given: dict[str, Any] = {name: arrays[name] for name in document.spec.inputs}
    np.savez("in.npz", **given)


def test_a_page_is_renewed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs" / "tasks" / "imagenet.md", tmp_path)
    path = tmp_path / "imagenet.md"
    ran: list[list[str]] = []

    def run(words: list[str]) -> str:
        ran.append(words)
        return f"what {words[1]} prints\n"

    text = RUNNER["page"](path, run)
    assert [words[:2] for words in ran] == [
        ["python", "examples/make_inputs.py"],
        ["perceiver-graph", "compile"],
        ["perceiver-graph", "run"],
    ]
    assert "```\nwhat run prints\n```\n\nThe weights are random here" in text
    assert "label: class" not in text


@pytest.mark.parametrize(
    ("text", "now", "same"),
    [
        ("class 107 0.2%, class 11", "class 107 0.3%, class 11", True),
        ("class 107 0.2%, class 11", "class 107 0.4%, class 11", False),
        ("class 107 0.2%, class 11", "class 108 0.2%, class 11", False),
        ("a 1 b", "a 1 c", False),
        ("1.25", "1.2", False),
    ],
)
def test_only_the_last_digit_may_differ(text: str, now: str, same: bool) -> None:
    assert RUNNER["agree"](text, now) == same


@pytest.mark.full
@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "tasks").glob("*.md")), ids=lambda p: p.stem
)
def test_a_page_shows_what_its_commands_print(page: Path) -> None:
    """`make pages` renews them."""
    assert not RUNNER["stale"]([page])
