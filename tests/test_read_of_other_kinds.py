"""What is in memory already, given to be read: it is told what is called instead, and that works."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import perceiver_graph as pg
from perceiver_graph.runtime import Program
from tests.cli.test_called_otherwise import SPEC, said

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("read") / "artifact"
    pg.compile(SPEC).save(folder)
    return pg.load(folder, device="cpu")


def test_what_is_read_in_another_form(program: Program, tmp_path: Path) -> None:
    path, read = tmp_path / "a.png", program.read
    anything: Any = read
    picture = Image.fromarray(PIXELS)
    for call in (lambda: anything(image=picture), lambda: anything(picture)):
        assert 'save it, `.save("a.png")`' in said(call)
    picture.save(path)
    wanted = read(image=path)["image"]
    assert "`.decode()`" in said(lambda: anything(text=b"hello"))
    assert "written to one" in said(lambda: anything(image=bytearray(path.read_bytes())))
    with path.open("rb") as file:
        assert "its `.name`" in said(lambda: anything(image=file))
        np.testing.assert_array_equal(read(image=file.name)["image"], wanted)
    assert "`run({NAME: ARRAY})`" in said(lambda: anything(image=wanted))
    program.run({"image": wanted})
    assert "`read(**IT)`" in said(lambda: anything({"image": path}))
    np.testing.assert_array_equal(read(image=path)["image"], wanted)
    assert "`read(*THEM)`" in said(lambda: anything(one for one in [path]))


def test_a_path_that_is_run_on(program: Program, tmp_path: Path) -> None:
    image = np.zeros((1, 4, 6, 3), np.float32)
    np.savez(tmp_path / "in.npz", image=image)
    run: Any = program.run
    for given in (tmp_path / "in.npz", "a text"):  # neither is opened
        assert "`read(FILE_OR_TEXT)`" in said(partial(run, given))
    with np.load(tmp_path / "in.npz") as arrays:
        found = program.run(arrays)["label"]
    np.testing.assert_array_equal(found, program.run({"image": image})["label"])
