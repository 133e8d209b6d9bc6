"""Names of classes at run time: which outputs they are for, and files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.media.base import settings_of
from perceiver_graph.media.equal import given_twice, told_apart
from perceiver_graph.media.scores.writer import ScoresWriter
from perceiver_graph.runtime import open_artifact
from perceiver_graph.runtime.naming import class_count, read_names, with_names
from perceiver_graph.spec.manifest import Manifest
from tests.tiny import fault, faults, write_artifact


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    def change(data: dict[str, Any]) -> None:
        data["outputs"]["total"]["media"] = {"classes": {"top": 1}}
        data["outputs"]["dense"]["media"] = {"boxes": {"classes": "sparse"}}
        data["outputs"]["sparse"]["shape"] = ["batch", 4, 6]
        ports = data["programs"]["decode"]["outputs"]
        next(port for port in ports if port["of"] == "sparse")["shape"][-1] = 6

    return open_artifact(write_artifact(tmp_path / "tiny", change)).manifest


def write(path: Path, *names: str) -> Path:
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return path


def test_outputs_with_names_have_classes(manifest: Manifest) -> None:
    assert [class_count(manifest, name) for name in ("total", "dense", "sparse")] == [5, 5, None]


def test_a_file_is_for_all_that_it_fits(manifest: Manifest, tmp_path: Path) -> None:
    five, others = write(tmp_path / "five", *"abcde"), write(tmp_path / "others", *"vwxyz")
    letters = list("abcde")
    assert read_names([str(five)], manifest) == {"total": letters, "dense": letters}
    assert read_names([str(five), f"dense={others}"], manifest)["dense"] == list("vwxyz")
    named = with_names(manifest, {"total": letters}).outputs
    media = named["total"].media
    assert media is not None
    assert settings_of(media).names == letters
    assert settings_of(media).top == 1
    assert named["dense"] == manifest.outputs["dense"]
    assert with_names(manifest, {}) == manifest


def test_lines_are_names(manifest: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "five.txt"
    path.write_bytes("\ufeffa \r\nb b\r\n\r\nd\r\né\r\n\r\n".encode())
    unknown = fault(lambda: read_names([f"totl={path}"], manifest))
    assert (unknown.message, unknown.help) == (
        "the model has no output `totl`",
        "did you mean `total`?",
    )
    assert read_names([f"total={path}"], manifest)["total"] == ["a", "b b", "", "d", "é"]


def test_what_does_not_fit_is_explained(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    bad = [tmp_path / "none", tmp_path / "latin", write(tmp_path / "two", "a", "b")]
    found = faults(lambda: read_names(map(str, bad), manifest))
    assert [one.code for one in found] == ["PG515"] * 3
    assert found[2].notes == ("`dense` has 5, `total` has 5",)
    two = {"total": ["a", "b"], "sparse": ["a"], "zebra": ["a"]}
    found = faults(lambda: with_names(manifest, two))
    assert [one.code for one in found] == ["PG515"] * 3
    assert "2 names are given for the 5 classes" in found[0].message
    assert found[1].help == "these are: `dense`, `total`"


def test_a_model_without_classes(tmp_path: Path) -> None:
    plain = open_artifact(write_artifact(tmp_path / "plain")).manifest
    found = fault(lambda: with_names(plain, {"total": ["a"]}))
    assert found.help == "leave the names out"
    found = fault(lambda: read_names([str(write(tmp_path / "one", "a"))], plain))
    assert found.notes == ()


def test_numbers_that_are_written_by_name_have_one_each(tmp_path: Path) -> None:
    """Equal names would lose a number: they are refused where they are given, and numbered where an
    artifact has them."""

    def change(data: dict[str, Any]) -> None:
        data["outputs"]["total"]["media"] = {"scores": {"names": [*"abaab"]}}

    manifest = open_artifact(write_artifact(tmp_path / "tiny", change)).manifest
    media = manifest.outputs["total"].media
    assert media is not None
    writer = ScoresWriter("y", settings_of(media))
    assert list(writer.answer(np.arange(5.0)).data.items()) == [
        ("a", 0.0),
        ("b", 1.0),
        ("a (2)", 2.0),
        ("a (3)", 3.0),
        ("b (2)", 4.0),
    ]
    found = fault(lambda: with_names(manifest, {"total": [*"abcad"]}))
    assert found.code == "PG515"
    assert "names 1 and 4 of output `total` are both `a`" in found.message
    assert found.help == "give each its own, `a (2)` say"
    with_names(manifest, {"total": ["a", "b", "c", "a (2)", "d"]})


@given(st.lists(st.sampled_from(["a", "b", "a (2)", "a (2) (2)", "", " (2)"])))
def test_names_that_are_told_apart(names: list[str]) -> None:
    found = told_apart(names)
    assert len(set(found)) == len(names)
    assert [new for new in found if new in names] or not names
    assert all(
        new == old or new.startswith(f"{old} (") for new, old in zip(found, names, strict=True)
    )
    if given_twice(names) is None:
        assert found == names


def test_an_empty_line_counts(manifest: Manifest, tmp_path: Path) -> None:
    found = fault(lambda: read_names([str(write(tmp_path / "six", *"abc", "", *"de"))], manifest))
    assert "has 6 names" in found.message
    assert found.notes == ("`dense` has 5, `total` has 5", "an empty line counts: line 4")
