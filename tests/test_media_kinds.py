"""A kind of media in one file outside the package: what it is, what it fits, what reads and writes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = '''
"""Numbers, one on each line of a text."""

from pathlib import Path

import numpy as np

import perceiver_graph as pg
from perceiver_graph.media.base import InputMedia, OutputMedia
from perceiver_graph.media.fit import axes, channels
from perceiver_graph.media.io import Answer, Piece, Reader, Writer, reading
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.run import run_files
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.models.base import Model


class LevelsReader(Reader):
    noun = "a text of numbers"

    def open(self, values):
        source = Source.of(values[0], noun=self.noun)
        lines = source.read().decode().splitlines()
        array = np.array(lines, np.float32).reshape(1, -1, 1) * self._form.gain
        return reading(source, pieces=lambda: iter([Piece({self._name: array})]))


class LevelsWriter(Writer):
    def add(self, piece, results):
        self._found = results[self._name][0, :, 0]
        return {}

    def finish(self, lines):
        return {self._name: Answer(self._found.tolist(), f"{len(self._found)} numbers")}


class LevelsParameters(Model):
    """Numbers, one on each line."""

    gain: float = 1.0
    """What they are multiplied by."""


class LevelsMedia(InputMedia, OutputMedia):
    """The numbers of a text file."""

    levels: LevelsParameters
    """Their gain; `{}` takes the default."""

    input_checks = output_checks = (axes("time", "channel"), channels(1, "a line has one number"))
    reader, writer, example = LevelsReader, LevelsWriter, "LEVELS.txt"


SPEC = """
perceiver: 1
name: small
inputs: {x: {shape: {time: 4, channel: SIZE}, media: {levels: {gain: 2.0}}}}
latents: {count: 2, width: 8}
process: {layers: 1}
outputs: {y: {query: {inputs: x}, head: {linear: 1}, media: {levels: {}}}}
"""

try:
    pg.compile(load_spec(SPEC.replace("SIZE", "2")))
except pg.DiagnosticError as error:
    (found,) = error.diagnostics
    assert (found.code, found.message) == ("PG215", "`x` has 2 channels, and a line has one number")
else:
    raise AssertionError("two channels")
pg.compile(load_spec(SPEC.replace("SIZE", "1"))).save("artifact")
Path("levels.txt").write_text("1\\n2\\n3\\n4\\n")
program = pg.load("artifact", device="cpu")
(result,) = run_files(program, ["levels.txt"], "out")
expected = program.run({"x": np.array([2, 4, 6, 8], np.float32).reshape(1, 4, 1)})["y"]
np.testing.assert_allclose(result.answers["y"].data, expected[0, :, 0])
'''


def test_a_kind_of_media_is_one_file(tmp_path: Path) -> None:
    script = tmp_path / "levels.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
