"""Artifacts that were made to do harm: whatever stands in them, a call answers or gives a diagnostic."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import perceiver_graph as pg
from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime import load
from perceiver_graph.runtime.run import run_files
from tests.tiny import write_artifact

Data = dict[str, Any]
Place = tuple[str | int, ...]
CALL: dict[str, NDArray[Any]] = {
    "points": np.zeros((1, 2, 2), np.float32),
    "ids": np.zeros(1, np.int64),
}
ALLOWED = {"PG401", "PG402", "PG403", "PG404", "PG405", "PG406", "PG413"}
"""What an artifact may be blamed with; PG5xx blames a call, which is a right one here."""

MEDIA_SPEC = """
perceiver: 1
name: seen
dims: {length: {max: 40}}
inputs:
  image: {shape: {height: 6, width: 6, channel: 3}, media: {image: {}}}
  text:
    shape: {length: length}
    attention_mask: true
    steps: [{embedding: {vocabulary: 262, width: 8}}]
    media: {text: {}}
join: {padding: {min: 1}}
latents: {count: 3, width: 8}
process: {layers: 1, heads: 2}
decode: {padding: {min: 1}, chunks: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 3}, media: {classes: {names: [a, b, c]}}}
  text: {query: {inputs: text}, head: {linear: 262}, media: {text: {}}}
"""
"""Media, a symbol, a mask and queries made of an input."""

HOSTILE: list[Any] = [
    *(None, True, [], {}, "", "batch", "0", "-1", "nope", "1/0", "length/7", "-length", "(" * 60),
    *("length*" + "9" * 5000, "\x1b[31m\x07", "../../etc/passwd", "\ud800", "nul\0", "x" * 20_000),
    *(-1, 0, 1, 2, 7, 2**31, 2**40, 2**63, 10**4000, 0.5, -0.0, 1e308),
    *(["batch"], ["batch", -3], ["batch", 2**40, 2**40, 3], [1, 2, 3], [["batch"]]),
    *({"points": {}}, {"table": {}}, {"text": {}}, {"video": {}}, {"classes": {"names": ["a"]}}),
    *({"flow": {}}, {"boxes": {"classes": "x"}}, {"labels": {}}, {"image": {"crop": 1e-9}}),
]


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """The path of everything in a value, itself included."""
    yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield from places(item, (*path, key))


def at(data: Any, path: Place) -> Any:
    for key in path:
        data = data[key]
    return data


def mutate(data: Data, random: random.Random) -> Data:
    """A copy in which one thing, or a few, are other ones, gone, renamed or moved."""
    data = deepcopy(data)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        path = random.choice([one for one in places(data) if one])
        parent: Any = at(data, path[:-1])
        key: Any = path[-1]
        match random.randrange(8):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                parent[random.choice(["x", "latents", "", "a\x1b", "points"])] = parent.pop(key)
            case 2:  # something of another place
                parent[key] = deepcopy(at(data, random.choice(list(places(data)))))
            case 3 if isinstance(parent, list):
                parent.append(deepcopy(parent[key]))
            case 4 | 5 if not isinstance(parent[key], dict | list):  # the same everywhere
                data = replaced(data, parent[key], deepcopy(random.choice(HOSTILE)))
            case _:
                parent[key] = deepcopy(random.choice(HOSTILE))
    return data


def replaced(value: Any, old: Any, new: Any) -> Any:
    """The value with a scalar replaced wherever it stands, names of parts included."""
    if isinstance(value, dict):
        name = new if isinstance(new, str) else old
        return {name if k == old else k: replaced(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(item, old, new) for item in value]
    return deepcopy(new) if type(value) is type(old) and value == old else value


def rewrite(folder: Path, data: Data) -> None:
    """A manifest in which the digests of the files are right."""
    for name, entry in (
        (data.get("files") or {}).items() if isinstance(data.get("files"), dict) else ()
    ):
        path = folder / name if "\0" not in name and len(name) < 200 else folder
        if isinstance(entry, dict) and path.is_file():
            content = path.read_bytes()
            entry |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(data), encoding="utf-8")


def answers_or_says_why(call: Callable[[], object]) -> str:
    """`fine`, or the code of the first diagnostic; anything else that is raised fails the test."""
    try:
        call()
    except DiagnosticError as error:
        return error.diagnostics[0].code
    return "fine"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("hostile") / "tiny")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "seen"
    pg.compile(MEDIA_SPEC).save(folder)
    return folder


def scramble(model: onnx.ModelProto, random: random.Random) -> None:
    """Change a program: operators, names, types, sizes, attributes, weights."""
    graph = model.graph
    node = random.choice(graph.node)
    port = random.choice([*graph.input, *graph.output])
    match random.randrange(8):
        case 0:
            node.op_type = random.choice(["Nope", "Loop", "Softmax", "Sequence\x1b", "Cast", ""])
        case 1:
            node.input[random.randrange(len(node.input))] = random.choice(["", "nope", "points"])
        case 2:
            del graph.node[random.randrange(len(graph.node))]
        case 3:
            port.name = random.choice(["", "x", "points"])
        case 4:
            port.type.tensor_type.elem_type = random.randrange(0, 18)
        case 5:
            for dim in port.type.tensor_type.shape.dim:
                dim.dim_value = random.choice([-1, 0, 1, 7, 2**40])
        case 6:
            tensor = random.choice(graph.initializer)
            tensor.dims.append(random.choice([0, 2, -1, 2**40]))
        case _:
            tensor = random.choice(graph.initializer)
            shape = [random.randrange(1, 4) for _ in tensor.dims]
            array = np.ones(shape, onnx.numpy_helper.to_array(tensor).dtype)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def test_the_artifacts_are_sound_before_anything_is_done_to_them(
    tiny: Path, seen: Path, tmp_path: Path
) -> None:
    assert set(load(tiny, device="cpu").run(CALL)) == {"dense", "sparse", "total"}
    files = run_files(load(seen, device="cpu"), ["text=some text"], tmp_path)
    assert files[0].answers.keys() == {"label", "text"}


MANY = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@MANY
@given(seed=st.integers(0, 2**32))
def test_any_manifest_runs_or_is_a_diagnostic(seed: int, tiny: Path) -> None:
    data = json.loads((tiny / "manifest.json").read_text(encoding="utf-8"))
    try:
        rewrite(tiny, mutate(data, random.Random(seed)))
        code = answers_or_says_why(lambda: load(tiny, device="cpu").run(CALL))
        assert code in {"fine", *ALLOWED} or code.startswith("PG5"), code
    finally:
        rewrite(tiny, data)


@MANY
@given(seed=st.integers(0, 2**32))
def test_any_manifest_runs_on_files_or_is_a_diagnostic(
    seed: int, seen: Path, tmp_path: Path
) -> None:
    pytest.importorskip("PIL.Image").new("RGB", (9, 9)).save(tmp_path / "a.png")
    data = json.loads((seen / "manifest.json").read_text(encoding="utf-8"))
    values = [f"image={tmp_path / 'a.png'}", "text=some text"]
    try:
        rewrite(seen, mutate(data, random.Random(seed)))
        answers_or_says_why(lambda: run_files(load(seen, device="cpu"), values, tmp_path / "out"))
    finally:
        rewrite(seen, data)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


@MANY
@given(seed=st.integers(0, 2**32))
def test_any_bytes_of_a_program_run_or_are_a_diagnostic(seed: int, tiny: Path) -> None:
    """Bytes of the text in it: what steers onnxruntime's parser by lengths is a matter of its own."""
    random_ = random.Random(seed)
    file = tiny / random_.choice(["encode.onnx", "decode.onnx"])
    content = file.read_bytes()
    data = json.loads((tiny / "manifest.json").read_text(encoding="utf-8"))
    model = onnx.load_from_string(content)
    scramble(model, random_)
    try:
        file.write_bytes(model.SerializeToString())
        rewrite(tiny, data)
        code = answers_or_says_why(lambda: load(tiny, device="cpu").run(CALL))
        assert code in {"fine", "PG406", "PG413", "PG602", "PG603", "PG514"}
    finally:
        file.write_bytes(content)
        rewrite(tiny, data)


def test_a_size_is_at_least_one(tiny: Path, tmp_path: Path) -> None:
    """As in a spec: what is divided by a batch that could be empty need not think of it."""
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    data = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    data["dims"]["batch"]["min"] = 0
    rewrite(folder, data)
    assert answers_or_says_why(lambda: load(folder, device="cpu")) == "PG403"


EVENTS = """
perceiver: 1
name: events
dims: {n: {max: 9}}
inputs:
  a:
    shape: {event: n, channel: 2}
    position: {given: [s], range: [0, 24], fourier: {bands: 2, max_resolution: 8, periodic: [s]}}
latents: {count: 2, width: 8}
process: {layers: 1, heads: 1}
outputs:
  y: {query: {learned: {}}, head: {linear: 3}}
  p: {query: {points: [s], position: {fourier: {bands: 2, max_resolution: 8}}}, head: {linear: 1}}
decode: {padding: {min: 0}}
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("points_of", ["p"]),
        ("points_of", ["y"]),
        ("ranges", [[0, float("nan")]]),
        *(("periods", [pair]) for pair in ([5, 5], [24, 0], [0, float("nan")], [-1e308, 1e308])),
    ],
)
def test_what_is_said_of_coordinates_fits_them(key: str, value: Any, tmp_path: Path) -> None:
    pg.compile(EVENTS).save(tmp_path / "events")
    data = json.loads((tmp_path / "events" / "manifest.json").read_text(encoding="utf-8"))
    data["inputs"]["a.position"][key] = value
    rewrite(tmp_path / "events", data)
    assert answers_or_says_why(lambda: load(tmp_path / "events", device="cpu")) == "PG403"


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [halve, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("listed", [True, False])
def test_weights_that_are_cut_or_gone_are_a_diagnostic(
    damage: Callable[[Path], object], listed: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    pg.compile(MEDIA_SPEC.replace("width: 8", "width: 64")).save(folder)
    data = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (weights,) = (folder / name for name in data["files"] if name == "constants.safetensors")
    damage(weights)
    if not listed or not weights.exists():
        del data["files"][weights.name]
    rewrite(folder, data)
    call = {"text": np.full((1, 4), 7)}
    code = answers_or_says_why(lambda: load(folder, device="cpu").run(call))
    assert code in ({"PG406", "PG413"} if weights.name in data["files"] else {"PG404"})


Change = Callable[[onnx.GraphProto, str], object]


def first_tensor(graph: onnx.GraphProto, name: str) -> None:
    """Weights of the program itself from another file."""
    tensor = next(one for one in graph.initializer if one.external_data)
    next(entry for entry in tensor.external_data if entry.key == "location").value = name


def in_an_attribute(graph: onnx.GraphProto, name: str) -> None:
    node = graph.node.add(op_type="Constant", output=["spoils"])
    outside(node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t, name)


def in_a_branch(graph: onnx.GraphProto, name: str) -> None:
    node = graph.node.add(op_type="If", input=[graph.input[0].name], output=["spoils"])
    branch = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g
    outside(branch.initializer.add(name="inner"), name)


def sparse(graph: onnx.GraphProto, name: str) -> None:
    outside(graph.sparse_initializer.add().values, name)


def outside(tensor: onnx.TensorProto, name: str) -> None:
    tensor.data_type, tensor.data_location = onnx.TensorProto.FLOAT, onnx.TensorProto.EXTERNAL
    tensor.dims.append(4)
    tensor.external_data.add(key="location", value=name)


@pytest.mark.parametrize("change", [first_tensor, in_an_attribute, in_a_branch, sparse])
@pytest.mark.parametrize(
    "name",
    [
        *("other.bin", "../secret", "/etc/hostname", "manifest.json"),
        *("*/_ORT_MEM_ADDR_/*", "sub/../constants.safetensors", "link"),
    ],
)
def test_a_program_reads_no_file_that_the_manifest_does_not_list(
    change: Change, name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    pg.compile(MEDIA_SPEC.replace("width: 8", "width: 64")).save(folder)
    data = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "secret").write_bytes(bytes(4096))
    (folder / "other.bin").write_bytes(bytes(4096))
    (folder / "link").symlink_to(tmp_path / "secret")
    model = onnx.load(folder / "encode.onnx", load_external_data=False)
    change(model.graph, name)
    (folder / "encode.onnx").write_bytes(model.SerializeToString())
    rewrite(folder, data)
    with pytest.raises(DiagnosticError) as caught:
        load(folder, device="cpu")
    (found,) = caught.value.diagnostics
    assert found.code == "PG404"
    assert "which the manifest does not list" in found.message


def test_a_link_to_another_folder_is_copied_as_the_help_says(tmp_path: Path) -> None:
    folder = tmp_path / "a model"
    pg.compile(MEDIA_SPEC.replace("width: 8", "width: 64")).save(folder)
    (folder / "constants.safetensors").rename(tmp_path / "blob")
    (folder / "constants.safetensors").symlink_to(tmp_path / "blob")
    call = {"text": np.full((1, 4), 7)}
    with pytest.raises(DiagnosticError) as caught:
        load(folder, device="cpu").run(call)
    (found,) = caught.value.diagnostics
    assert found.code == "PG406"
    command = (found.help or "").partition("lead to: ")[2]
    subprocess.run(command.strip("`"), shell=True, check=True)
    assert load(tmp_path / "a model-copy", device="cpu").run(call)
