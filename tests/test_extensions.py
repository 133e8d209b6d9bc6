"""What `tests/extensions/` defines is there without a line changed in the package: installed, or named.

Each case runs in a process of its own, since what is defined stays defined.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(__file__).parent / "extensions"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
HEAD = "perceiver: 1\nname: outside\n"
REST = """\
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
outputs:
  answer: {query: {learned: {}}, head: {linear: 2}}
"""
SPEC = f"""{HEAD}
inputs:
  sound:
    shape: {{time: 16, channel: 4}}
    steps: [{{average: {{time: 2}}}}, {{squared_relu: {{}}}}]
    position: {{binary: 3}}
{REST}  around: {{query: {{ring: 6}}, head: {{low_rank: {{rank: 1, channels: 3}}, norm: layer_norm}}}}
  again: {{query: {{output: around}}}}
  token: {{query: first, head: {{low_rank: {{rank: 2, channels: 4}}}}}}
decode: {{padding: {{min: 0}}, chunks: 2}}
"""
LEVELS = f"""{HEAD}
inputs: {{levels: {{shape: {{time: 4, channel: 1}}, media: {{levels: {{gain: 2}}}}}}}}
latents: {{count: 3, width: 8}}
process: {{layers: 1, heads: 2}}
outputs: {{same: {{query: {{inputs: levels}}, head: {{linear: 1}}, media: {{levels: {{}}}}}}}}
"""
PLAIN = f"{HEAD}inputs: {{x: {{shape: {{time: 4, channel: 3}}, position: none}}}}\n{REST}"


def run(
    *words: str, path: Path | None = None, code: int = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A command line in a process of its own, with what is installed at `path`."""
    found = os.pathsep.join(str(part) for part in (ROOT, path) if part)
    done = subprocess.run(
        [sys.executable, *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": found},
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def program(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return run("-m", "perceiver_graph", *words, **settings)  # type: ignore[arg-type]


def named() -> list[str]:
    return [word for name in NAMES for word in ("--extension", str(FOLDER / f"{name}.py"))]


def install(folder: Path, **modules: str) -> Path:
    """A folder as pip leaves it: modules, and a package that lists them under the entry-point group."""
    listing = folder / "outside-1.0.dist-info"
    listing.mkdir(parents=True)
    (listing / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    lines = [f"{name} = outside_{name}" for name in modules]
    text = "\n".join(["[perceiver_graph.extensions]", *lines, ""])
    (listing / "entry_points.txt").write_text(text)
    for name, source in modules.items():
        (folder / f"outside_{name}.py").write_text(source)
    return folder


@pytest.fixture(params=["installed", "named"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], Path | None]:
    """The words to add to a command line, and what is installed."""
    if request.param == "named":
        return named(), None
    sources = {name: (FOLDER / f"{name}.py").read_text() for name in NAMES}
    return [], install(tmp_path / "installed", **sources)


def test_all_of_them_compile_and_run(way: tuple[list[str], Path | None], tmp_path: Path) -> None:
    words, path = way
    (tmp_path / "outside.yaml").write_text(SPEC)
    done = program(
        *("compile", "outside.yaml", "--backend", "all", "-o", "out", "--verify", *words),
        path=path,
        cwd=tmp_path,
    )
    assert "1,480 parameters" in done.stdout
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    package = {} if path is None else {"package": "outside 1.0"}
    used = {"backend", "head", "position", "primitive", "query", "rewrite", "step"}
    assert manifest["extensions"] == {name: {**package, "needed": False} for name in used}
    assert manifest["backends"] == ["onnx", "torch", "text"]
    assert b"squared_relu/relu" in (tmp_path / "out" / "encode.onnx").read_bytes()
    assert ".square()" in (tmp_path / "out" / "model.py").read_text()
    assert "squared_relu %" in (tmp_path / "out" / "encode.ir").read_text()
    program("run", "out", "--random", "-o", "answer.npz", cwd=tmp_path)  # needs none of them


@pytest.mark.parametrize(
    ("key", "value", "row"),
    [
        ("inputs.sound.position.binary", 2, "3  2"),
        ("inputs.sound.steps.0.average.time", 4, "2  4"),
    ],
)
def test_their_keys_are_compared(key: str, value: int, row: str, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(SPEC)
    words = ("outside.yaml", "--set", f"{key}={value}", *named())
    assert f"\n{key}  {row}\n" in program("diff", *words, cwd=tmp_path).stdout


NUMBERS = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
import perceiver_graph as pg

for file in Path(sys.argv[1]).glob("*.py"):
    pg.extend(file)
compiled = pg.compile(sys.argv[2])
compiled.save("out")
x = np.random.default_rng(0).standard_normal((2, 16, 4)).astype(np.float32)
program = pg.load("out")
found = program.run({"sound": x})
module = compiled.to_torch().eval()
other = module({"sound": torch.from_numpy(x)})
for name in found:
    np.testing.assert_allclose(found[name], other[name].detach(), rtol=1e-4, atol=1e-5)
assert {name: y.shape[1:] for name, y in found.items()} == {
    "answer": (2,), "around": (6, 3), "again": (6, 8), "token": (4,)
}

from perceiver_graph.compiler.ir.interpreter import evaluate
from perceiver_graph.compiler.ops import PRIMITIVES
graph = compiled.graph
weights = compiled.weights()
asked = {f"{name}.queries": np.arange(6) for name in ("around", "again")}
expected = evaluate(graph, {"sound": x} | asked, weights)
down, up = (
    (weights[f"heads.token.{part}.weight"], weights[f"heads.token.{part}.bias"])
    for part in ("down", "up")
)
token = (expected["latents"][:, 0] @ down[0].T + down[1]) @ up[0].T + up[1]
np.testing.assert_allclose(found["token"], token, rtol=1e-4, atol=1e-5)
np.testing.assert_allclose(found["around"], expected["around"], rtol=1e-4, atol=1e-5)
some = program.run({"sound": x}, decode={"around": [4, 1]})["around"]
np.testing.assert_allclose(some, found["around"][:, [4, 1]], rtol=1e-4, atol=1e-5)
circle, _ = (one.data for one in graph.constants if one.value.name.endswith("circle"))
np.testing.assert_allclose(circle[1], [0.5, 0.75**0.5], rtol=1e-6)
tokens = next(node.output for node in graph.nodes if node.name.endswith("with_position"))
shown = evaluate(replace(graph, outputs={"tokens": tokens}), {"sound": x} | asked, weights)["tokens"]
average = np.square(np.maximum(x.reshape(2, 8, 2, 4).mean(2), 0))
np.testing.assert_allclose(shown[..., :4], average, rtol=1e-6)
assert shown[1, 6, 4:].tolist() == [0, 1, 1]
op = PRIMITIVES["squared_relu"]()
parts = op.decompose(lambda part, *operands: part.evaluate(*operands), x)
np.testing.assert_allclose(parts, op.evaluate(x))
"""


def test_the_numbers_are_theirs_in_every_backend(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(SPEC)
    run("-c", NUMBERS, str(FOLDER), "outside.yaml", cwd=tmp_path)


def test_the_pass_runs_where_it_says_and_inspect_tells_of_it(tmp_path: Path) -> None:
    relus = "{activation: relu}, {activation: relu}"
    (tmp_path / "outside.yaml").write_text(SPEC.replace("{squared_relu: {}}", relus))
    words = ("outside.yaml", *named())
    done = program("inspect", *words, "-O", "2", cwd=tmp_path)
    assert re.search(r"drops ReLUs of ReLUs", done.stdout)
    program("compile", *words, "-o", "out", "--dump-ir", "ir", cwd=tmp_path)
    names = sorted(path.name for path in (tmp_path / "ir").iterdir())
    place = next(i for i, name in enumerate(names) if "drop-repeated-relu" in name)
    before, after = ((tmp_path / "ir" / name).read_text() for name in names[place - 1 : place + 1])
    assert "fold-norm-affine" in names[place - 1]
    assert (before.count("relu %"), after.count("relu %")) == (2, 1)


def test_the_page_about_extensions_shows_these_files() -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    shown = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert sorted(shown) == sorted((FOLDER / f"{name}.py").read_text() for name in NAMES)


def test_what_they_refuse_is_shown_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(SPEC.replace("average: {time", "average: {tim"))
    done = program("check", "outside.yaml", *named(), cwd=tmp_path, code=1)
    assert "outside.yaml:7:" in done.stderr
    (tmp_path / "outside.yaml").write_text(SPEC.replace("time: 2", "time: 3"))
    done = program("check", "outside.yaml", *named(), cwd=tmp_path, code=1)
    assert "outside.yaml:7:" in done.stderr
    (tmp_path / "outside.yaml").write_text(SPEC.replace("rank: 2", "rank: 4"))
    done = program("check", "outside.yaml", *named(), cwd=tmp_path, code=1)
    assert "has no rank of more than 4" in done.stderr
    assert "outside.yaml:15:" in done.stderr


def test_a_word_of_theirs_is_known_and_told_where_it_was_meant(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(SPEC.replace("query: first", "query: frist"))
    done = program("check", "outside.yaml", *named(), cwd=tmp_path, code=1)
    assert "`{ring: ...}`, `first`" in done.stderr
    assert "did you mean `first`?" in done.stderr
    (tmp_path / "outside.yaml").write_text(SPEC.replace("output: around", "output: token"))
    done = program("check", "outside.yaml", *named(), cwd=tmp_path, code=1)
    assert "`token` has no queries: it is the first of the latents" in done.stderr
    assert "write `query: first` here too" in done.stderr


def test_the_schema_knows_them() -> None:
    done = program("schema", *named())
    forms = json.loads(done.stdout)["$defs"]
    assert "none of which is in two windows" in forms["Average"]["description"]
    assert "BinaryPosition" in forms


def test_without_them_nothing_is_known_of_them(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(SPEC)
    done = program("check", "outside.yaml", cwd=tmp_path, code=1)
    assert "expected a step, found `average`" in done.stderr


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("x = 1\nimport nothing_of_the_kind\n", "ModuleNotFoundError"),
        ("x = 1\ndef f(:\n", "SyntaxError: invalid syntax"),
        ("x = 1\nraise SystemExit('enough')\n", "SystemExit: enough"),
        (
            "from perceiver_graph.spec.models import Step\nclass Again(Step):\n    linear: int\n",
            "a step `linear` is there already",
        ),
    ],
)
def test_a_broken_one_is_a_diagnostic(source: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(source)
    (tmp_path / "plain.yaml").write_text(PLAIN)
    done = program("check", "plain.yaml", "--extension", "broken.py", cwd=tmp_path, code=1)
    assert "error[PG701]: the extension `broken.py` cannot be loaded" in done.stderr
    assert shown in done.stderr
    assert "broken.py:2:" in done.stderr


AGAIN = """
from pathlib import Path
import sys
import perceiver_graph as pg

source = "".join(Path(name).read_text().split("annotations", 1)[1] for name in sys.argv[1:])
file = Path("again.py")
file.write_text("from __future__ import annotations" + source + "broken")
try:
    pg.extend(file)
except pg.DiagnosticError as error:
    assert "NameError" in str(error)
file.write_text("from __future__ import annotations" + source)
pg.extend(file)
"""


def test_a_file_that_was_mended_is_run_again(tmp_path: Path) -> None:
    run("-c", AGAIN, *(str(FOLDER / f"{name}.py") for name in NAMES), cwd=tmp_path)


def test_a_broken_one_that_is_installed_is_a_note(tmp_path: Path) -> None:
    path = install(tmp_path / "installed", good="", broken="x = 1\nx.y\n")
    (tmp_path / "plain.yaml").write_text(PLAIN)
    done = program("check", "plain.yaml", path=path, cwd=tmp_path)
    assert "the extension `broken` cannot be loaded: AttributeError" in done.stderr
    assert "outside_broken.py:2:" in done.stderr
    assert "plain.yaml: ok" in done.stdout


def test_a_file_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    for name, what in (("none.py", "does not exist"), ("plain.yaml", "is no Python file")):
        done = program("check", "plain.yaml", "--extension", name, cwd=tmp_path, code=1)
        assert f"PG701]: the extension `{name}` {what}" in done.stderr


def test_nothing_is_run_that_is_neither_installed_nor_named(tmp_path: Path) -> None:
    """Not a file beside the spec, and not a package that says nothing of extensions."""
    path = install(tmp_path / "installed", quiet="raise SystemExit('ran')\n")
    listing = path / "outside-1.0.dist-info" / "entry_points.txt"
    listing.write_text("[console_scripts]\nquiet = outside_quiet\n")
    (tmp_path / "plain.yaml").write_text(PLAIN)
    (tmp_path / "outside_step.py").write_text("raise SystemExit('ran')\n")
    done = program("check", "plain.yaml", path=path, cwd=tmp_path)
    assert done.stderr == ""


def test_artifacts_without_extensions_do_not_speak_of_them(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(PLAIN)
    program("compile", "plain.yaml", "-o", "out", *named()[:2], cwd=tmp_path)
    assert "extensions" not in json.loads((tmp_path / "out" / "manifest.json").read_text())


def test_media_are_needed_to_run(way: tuple[list[str], Path | None], tmp_path: Path) -> None:
    words, path = way
    (tmp_path / "levels.yaml").write_text(LEVELS)
    (tmp_path / "levels.txt").write_text("1\n2\n3\n4\n")
    levels = np.array([2, 4, 6, 8], np.float32).reshape(1, 4, 1)
    np.savez(tmp_path / "in.npz", levels=levels)
    told = program("compile", "levels.yaml", "-o", "out", *words, path=path, cwd=tmp_path).stdout
    assert "perceiver-graph run out LEVELS.txt -o out" in told
    entry = json.loads((tmp_path / "out" / "manifest.json").read_text())["extensions"]["media"]
    assert entry["needed"]
    done = program("run", "out", "levels.txt", "-o", "found", *words, path=path, cwd=tmp_path)
    assert "4 numbers" in done.stdout
    (shown,) = (tmp_path / "found").glob("*.json")
    program("run", "out", "--inputs", "in.npz", "-o", "same.npz", *words, path=path, cwd=tmp_path)
    same = np.load(tmp_path / "same.npz")["same"][0, :, 0]
    np.testing.assert_allclose(json.loads(shown.read_text())["outputs"]["same"], same, rtol=1e-5)
    done = program("run", "out", "levels.txt", cwd=tmp_path, code=1)
    assert "error[PG702]: out needs the extension `media`, which is not here" in done.stderr
    assert ("outside 1.0" in done.stderr) is (path is not None)
    (tmp_path / "levels.yaml").write_text(LEVELS.replace("channel: 1", "channel: 2"))
    done = program("check", "levels.yaml", *words, path=path, cwd=tmp_path, code=1)
    assert "`levels` has 2 channels, and a line has one number" in done.stderr
