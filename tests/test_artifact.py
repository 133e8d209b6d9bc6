"""Artifacts from anywhere: what is damaged, incomplete or sly is refused, all of it in one go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from perceiver_graph.runtime import load, open_artifact
from perceiver_graph.spec.manifest import MANIFEST_VERSION
from tests.tiny import fault, faults, write_artifact

Data = dict[str, Any]
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_artifact(tmp_path / "tiny")


def listing(name: str) -> Callable[[Data], object]:
    """Adds a file to the manifest."""
    return lambda data: data["files"].update({name: {"sha256": EMPTY, "bytes": 0}})


def test_a_sound_artifact_is_opened(tiny: Path) -> None:
    seen: list[tuple[int, int]] = []
    artifact = open_artifact(str(tiny), progress=lambda *step: seen.append(step))
    assert artifact.directory == tiny
    assert artifact.manifest.name == "tiny"
    assert artifact.manifest.inputs["points"].shape == ["batch", "length", 2]
    total = sum(entry.bytes for entry in artifact.manifest.files.values())
    assert seen[-1] == (total, total)
    assert artifact.file("encode.onnx") == tiny / "encode.onnx"
    with pytest.raises(KeyError):
        artifact.file("manifest.json")


def test_an_artifact_may_be_moved_and_linked_to(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shutil.move(tiny, tmp_path / "moved"))
    assert open_artifact(tmp_path / "link").manifest.name == "tiny"


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "bad", listing("../outside.onnx"))
    (folder / "spec.yaml").unlink()
    (folder / "encode.onnx").write_bytes(b"short")
    content = bytearray((folder / "decode.onnx").read_bytes())
    content[40] ^= 1
    (folder / "decode.onnx").write_bytes(content)
    found = {d.code: d.message for d in faults(lambda: open_artifact(folder))}
    assert found.keys() == {"PG401", "PG402", "PG404"}
    messages = [d.message for d in faults(lambda: open_artifact(folder))]
    assert len(messages) == 4
    assert any("has 5 bytes, and the manifest says" in text for text in messages)
    assert any("decode.onnx has changed since it was compiled" in text for text in messages)
    assert "spec.yaml" in found["PG401"]
    assert "outside" in found["PG404"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("/etc/hostname", "PG404"),
        ("../secret", "PG404"),
        ("a/../../secret", "PG404"),
        ("..\\secret", "PG404"),
        ("C:\\secret", "PG404"),
        ("\\\\server\\share", "PG404"),
        ("./decode.onnx", "PG403"),
        ("a//b", "PG403"),
        ("a\\b", "PG403"),
        ("", "PG403"),
        ("nul\0byte", "PG403"),
        ("manifest.json", "PG403"),
        ("weights.pkl", "PG403"),
        ("weights.PT", "PG403"),
    ],
)
def test_paths_that_lead_elsewhere_are_refused(name: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    folder = write_artifact(tmp_path / "sly", listing(name))
    assert fault(lambda: open_artifact(folder)).code == code


def test_links_out_of_the_folder_are_followed_to_what_has_the_digest(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "data").write_bytes(b"")
    folder = write_artifact(
        tmp_path / "linked", lambda data: [listing(name)(data) for name in ("data", "sub/data")]
    )
    (folder / "data").symlink_to("../outside/data")
    (folder / "sub").symlink_to(tmp_path / "outside")
    assert open_artifact(folder).file("sub/data").read_bytes() == b""
    (tmp_path / "outside" / "data").write_bytes(b"secret")
    assert [d.code for d in faults(lambda: open_artifact(folder))] == ["PG402", "PG402"]
    (tmp_path / "outside" / "data").unlink()
    os.mkfifo(tmp_path / "outside" / "data")
    assert [d.code for d in faults(lambda: open_artifact(folder))] == ["PG402", "PG402"]


def test_an_artifact_in_the_cache_of_a_hub_runs(tmp_path: Path) -> None:
    """`snapshots/REVISION` has links to `blobs/DIGEST`, which lie outside of it."""
    source = write_artifact(tmp_path / "source")
    blobs, snapshot = tmp_path / "hub" / "blobs", tmp_path / "hub" / "snapshots" / "0123abcd"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for index, path in enumerate(sorted(source.iterdir())):
        shutil.move(path, blobs / str(index))
        (snapshot / path.name).symlink_to(f"../../blobs/{index}")
    program = load(snapshot, device="cpu")
    inputs: dict[str, NDArray[Any]] = {
        "points": np.ones((1, 4, 2), np.float32),
        "ids": np.zeros(1, np.int64),
    }
    found = program.run(inputs)
    shutil.copytree(snapshot, tmp_path / "copied")
    expected = load(tmp_path / "copied", device="cpu").run(inputs)
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in expected.items()
    }


def test_links_within_the_folder_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "linked", listing("data"))
    (folder / "empty").write_bytes(b"")
    (folder / "data").symlink_to("empty")
    assert open_artifact(folder).file("data").stat().st_size == 0
    (folder / "data").unlink()
    (folder / "data").symlink_to("data")
    assert fault(lambda: open_artifact(folder)).code == "PG401"


def test_a_manifest_may_be_a_link(tiny: Path, tmp_path: Path) -> None:
    shutil.move(tiny / "manifest.json", tmp_path / "manifest.json")
    (tiny / "manifest.json").symlink_to("../manifest.json")
    assert open_artifact(tiny).manifest.name == "tiny"


def test_special_files_are_not_read(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path / "odd", listing("pipe"))
    os.mkfifo(folder / "pipe")  # reading it would wait for ever
    found = fault(lambda: open_artifact(folder))
    assert (found.code, "not a regular file" in found.message) == ("PG402", True)


def test_a_newer_format_is_not_guessed_at(tmp_path: Path) -> None:
    def newer(data: Data) -> None:
        data.update(format=MANIFEST_VERSION + 1, tool="perceiver-graph 9", unheard_of={})

    found = fault(lambda: open_artifact(write_artifact(tmp_path / "new", newer)))
    assert found.code == "PG405"
    assert "perceiver-graph 9" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not valid JSON"),
        ("[]", "the whole"),
        ('{"name": 1, "name": 2}', "`name` is listed twice"),
        ("[" * 100_000, "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_manifest_that_is_none_is_explained(text: str | bytes, what: str, tiny: Path) -> None:
    (tiny / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = fault(lambda: open_artifact(tiny))
    assert found.code == "PG403"
    assert what in found.message


def test_every_fault_of_a_manifest_is_named(tmp_path: Path) -> None:
    def spoil(data: Data) -> None:
        data["inputs"]["points"]["dtype"] = "float99"
        data["outputs"]["dense"]["selectable"] = "yes"
        del data["chunks"]
        data["surplus"] = 1

    found = faults(lambda: open_artifact(write_artifact(tmp_path / "bad", spoil)))
    assert {d.code for d in found} == {"PG403"}
    for place in ("inputs.points.dtype", "outputs.dense.selectable", "chunks", "surplus"):
        assert any(f"`{place}`" in d.message for d in found)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda m: m["programs"]["encode"].update(file="other.onnx"), "not among `files`"),
        (lambda m: m["programs"].pop("encode"), "lacks `encode`"),
        (
            lambda m: m["programs"].update(another=m["programs"]["decode"]),
            "no program that this release knows",
        ),
        (lambda m: m["programs"]["encode"]["inputs"][0].update(of="x"), "not among `inputs`"),
        (lambda m: m["inputs"]["points"].update(mask="always"), "which is always masked"),
        (lambda m: m["inputs"]["ids"].update(dtype="float32"), "reads `ids` as int64"),
        (lambda m: m["programs"]["encode"]["inputs"][0].update(role="state"), "of role `state`"),
        (
            lambda m: m["programs"]["decode"]["inputs"][0].update(of="x"),
            "no program before it hands over",
        ),
        (lambda m: m["programs"]["decode"]["inputs"][0].update(role="data"), "of role `data`"),
        (lambda m: m["programs"]["decode"]["inputs"][1].update(shape=[4]), "not a symbol"),
        (lambda m: m["programs"]["decode"]["outputs"].pop(), "no program computes"),
        (lambda m: m["programs"]["decode"]["inputs"].pop(), "has no queries of `sparse`"),
        (lambda m: m["inputs"]["points"]["axes"].pop(), "one size for each axis"),
        (lambda m: m.update(chunks=0), "must be at least 1"),
        (lambda m: m.update(programs={}), "`programs` is empty"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_found(
    spoil: Callable[[Data], object], what: str, tmp_path: Path
) -> None:
    found = fault(lambda: open_artifact(write_artifact(tmp_path / "bad", spoil)))
    assert found.code == "PG403"
    assert what in found.message


def test_what_is_no_artifact_is_told_how_to_become_one(tmp_path: Path, tiny: Path) -> None:
    def help_for(path: Path | str) -> str:
        found = fault(lambda: open_artifact(path))
        assert found.code == "PG401"
        return found.help or ""

    assert "compile kinetics -o build/kinetics" in help_for("kinetics")
    spec = tmp_path / "specs" / "model.yaml"
    spec.parent.mkdir()
    spec.write_text("perceiver: 1\n")
    assert f"compile {spec} -o build/model" in help_for(spec)
    assert f"compile {spec}" in help_for(spec.parent)  # the folder that the spec lies in
    assert help_for(tmp_path) == f"did you mean `{tiny}`?"
    assert "compile SPEC" in help_for(tmp_path / "no" / "such")
    assert help_for(tiny / "manifest.json") == f"give the folder: {tiny}"


def test_an_artifact_without_onnx_programs_opens_but_does_not_run(tmp_path: Path) -> None:
    folder = write_artifact(
        tmp_path / "source", lambda data: data.update(programs={}, backends=["torch"])
    )
    assert open_artifact(folder).manifest.backends == ["torch"]
    found = fault(lambda: load(folder))
    again = f"`perceiver-graph compile {folder / 'spec.yaml'} --weights {folder} -o DIR`"
    assert (found.code, again in (found.help or "")) == ("PG406", True)
