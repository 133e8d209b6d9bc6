"""Weights as people have them: half precision, trainers' checkpoints, and what is no weights at all."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import save, save_file
from safetensors.torch import save_file as save_torch

import perceiver_graph as pg
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.weights import initialize, load
from perceiver_graph.compiler.weights.files import read_tensors
from perceiver_graph.diagnostics import DiagnosticError, Report
from perceiver_graph.spec.loader import parse_spec
from tests.checkpoints import SPEC, Tensors, file, folder, problems, small, theirs


@pytest.fixture(scope="module")
def graph() -> Graph:
    return small()


@pytest.fixture(scope="module")
def values(graph: Graph) -> Tensors:
    return initialize(graph, 0)


def as_torch(values: Mapping[str, Any], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value).to(dtype) for name, value in values.items()}


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], check=False, cwd=cwd, capture_output=True, text=True
    )


# Formats that numpy does not have


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_formats_that_numpy_lacks(
    dtype: str, tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    save_torch(as_torch(values, getattr(torch, dtype)), tmp_path / "w.safetensors")
    report = Report()
    found = load(tmp_path / "w.safetensors", graph, report=report)
    for name, value in values.items():
        assert np.array_equal(found[name], value.astype(getattr(ml_dtypes, dtype)).astype("f4"))
    assert f"converted from {dtype} to float32" in report.diagnostics[0].message


def test_bfloat16_in_a_process_that_has_imported_nothing_for_it(
    tmp_path: Path, values: Tensors
) -> None:
    save_torch(as_torch(values, torch.bfloat16), tmp_path / "w.safetensors")
    (tmp_path / "small.yaml").write_text(SPEC)
    done = run(
        *("-m", "perceiver_graph", "compile", "small.yaml", "--weights", "w.safetensors"),
        *("-o", "a"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert f"note: {len(values)} tensors converted from bfloat16 to float32" in done.stderr


def test_scales_of_eight_bit_weights_are_not_ignored(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    tensors = as_torch(values, torch.float8_e4m3fn)
    tensors["process.layers.0.mlp.dense1.weight_scale"] = torch.ones(1)
    save_torch(tensors, tmp_path / "w.safetensors")
    codes, text = problems(tmp_path / "w.safetensors", graph)
    assert codes == ["PG303"]
    assert "weight_scale" in text


# Checkpoints of trainers


def _lightning(values: Tensors) -> dict[str, Any]:
    state = as_torch({f"model.{name}": value for name, value in values.items()}, torch.float32)
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.6",
        "state_dict": state,
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3}]}],
    }


TRAINERS: dict[str, Callable[[Tensors], dict[str, Any]]] = {
    "a checkpoint of Lightning": _lightning,
    "a checkpoint of a trainer": lambda v: {
        "epoch": 3,
        "model_state_dict": as_torch(v, torch.float32),
        "optimizer_state_dict": {},
    },
    "a checkpoint of a trainer, with `model`": lambda v: {
        "model": as_torch({f"module._orig_mod.{n}": t for n, t in v.items()}, torch.float32),
        "optimizer": {},
        "model_ema": {},
    },
    "a file of PyTorch": lambda v: as_torch(v, torch.bfloat16),
}


def program_of(help: str | None) -> str:
    assert help is not None
    return help[help.index("import torch") :]


@pytest.mark.parametrize("what", TRAINERS)
def test_the_program_in_the_help_converts_checkpoints_of_trainers(
    what: str, tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    place = tmp_path / "it's a folder"
    place.mkdir()
    path = place / "epoch 3.ckpt"
    torch.save(TRAINERS[what](values), path)
    with pytest.raises(DiagnosticError) as caught:
        load(path, graph)
    (found,) = caught.value.diagnostics
    assert f"is {what.split(',', maxsplit=1)[0]}, which is a pickle" in found.message
    assert ("model_ema" in "".join(found.notes)) == ("`model`" in what)
    done = run("-c", program_of(found.help), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tensors = read_tensors(path.with_suffix(".safetensors"))
    assert set(tensors.names) == set(values)
    converted = load(path.with_suffix(".safetensors"), graph)
    for name, value in values.items():
        assert np.allclose(converted[name], value, atol=0.02)


class Mine:
    """A class of a user's, in a checkpoint."""


def test_a_checkpoint_without_weights_is_not_converted_to_an_empty_file(
    tmp_path: Path, graph: Graph
) -> None:
    torch.save({"optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}}, tmp_path / "opt.pt")
    with pytest.raises(DiagnosticError) as caught:
        load(tmp_path / "opt.pt", graph)
    done = run("-c", program_of(caught.value.diagnostics[0].help), cwd=tmp_path)
    assert done.returncode == 1
    assert "no weights are in it: save those of the model" in done.stderr
    assert not (tmp_path / "opt.safetensors").exists()


def test_a_whole_module_is_said_to_need_its_class(tmp_path: Path, graph: Graph) -> None:
    torch.save({"model": Mine()}, tmp_path / "whole.pt")
    codes, text = problems(tmp_path / "whole.pt", graph)
    assert codes == ["PG301"]
    assert "it names `tests.test_foreign_weights.Mine`" in text
    assert "model.state_dict()" in text


def test_a_torchscript_program(tmp_path: Path, graph: Graph) -> None:
    module = torch.jit.trace(torch.nn.Linear(2, 3), torch.ones(1, 2))  # type: ignore[no-untyped-call]
    module.save(tmp_path / "script.pt")
    with pytest.raises(DiagnosticError, match="TorchScript") as caught:
        load(tmp_path / "script.pt", graph)
    done = run("-c", program_of(caught.value.diagnostics[0].help), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = read_tensors(tmp_path / "script.safetensors").tensors
    assert {name: one.shape for name, one in found.items()} == {"weight": (3, 2), "bias": (3,)}


def test_a_transformers_folder_with_a_pickle(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    path = folder(tmp_path / "model", theirs(values))
    (path / "model.safetensors").unlink()
    torch.save(as_torch(theirs(values), torch.float32), path / "pytorch_model.bin")
    with pytest.raises(DiagnosticError) as caught:
        load(path, graph)
    done = run("-c", program_of(caught.value.diagnostics[0].help), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load(path, graph).keys() == values.keys()


def test_numpy_arrays_are_converted_by_the_program_in_the_help(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    np.savez(tmp_path / "w.npz", **values)  # type: ignore[arg-type]
    with pytest.raises(DiagnosticError, match="NumPy") as caught:
        load(tmp_path / "w.npz", graph)
    help = caught.value.diagnostics[0].help
    assert help is not None
    assert run("-c", help[help.index("import numpy") :], cwd=tmp_path).returncode == 0
    assert load(tmp_path / "w.safetensors", graph).keys() == values.keys()


# Files that are something else

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.safetensors", LFS, ("Git LFS pointer", "lfs pull")),
        ("model.gguf", b"GGUF\3\0\0\0", ("GGUF", "made from")),
        ("model.bin", b"GGUF\3\0\0\0", ("GGUF", "made from")),
        ("tf_model.h5", b"\x89HDF\r\n\x1a\n....", ("Keras or TensorFlow",)),
        ("flax_model.msgpack", b"\x85\xa7params", ("Flax",)),
        ("model.onnx", b"\x08\x0a\x12\x07pytorch", ("ONNX program", "made from")),
        ("model.safetensors", b"\x08\x0a\x12\x0fperceiver-graph\x1a\x050.1.0", ("ONNX program",)),
        ("model.safetensors", "perceiver: 1 # Grüße\n".encode(), ("text, not weights", "name the")),
        ("model.npy", b"\x93NUMPY\1\0", ("one NumPy array",)),
        ("model.safetensors", b"<!DOCTYPE html><html>", ("web page", "download it again")),
        ("config.json", b'{"model_type": "perceiver"}', ("JSON text", "name its folder")),
        ("w.tar.gz", b"\x1f\x8b\x08", ("compressed", "unpack")),
    ],
)
def test_files_are_named_for_what_they_are(
    name: str, content: bytes, words: tuple[str, ...], tmp_path: Path, graph: Graph
) -> None:
    (tmp_path / name).write_bytes(content)
    codes, text = problems(tmp_path / name, graph)
    assert codes == ["PG301"]
    assert all(word in text for word in words), text


@pytest.mark.parametrize("before", ["", "x"])
def test_text_is_text_wherever_its_beginning_ends(
    before: str, tmp_path: Path, graph: Graph
) -> None:
    """In the middle of a character, with one of the two."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(f"{before}{'ü' * 5000}".encode())
    assert "text, not weights" in problems(path, graph)[1]
    path.write_bytes(f"{before}{'ü' * 10}".encode() + b"\xc3(" + b"x" * 5000)
    assert "text, not weights" not in problems(path, graph)[1]


def test_an_archive_is_unpacked_by_the_command_in_the_help(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    (tmp_path / "w").mkdir()
    inside = file(tmp_path / "w", values)
    with zipfile.ZipFile(tmp_path / "a b.zip", "w") as archive:
        archive.write(inside, "weights.safetensors")
    with tarfile.open(tmp_path / "a b.tar.gz", "w:gz") as tar:
        tar.add(inside, "weights.safetensors")
    for name in ("a b.zip", "a b.tar.gz"):
        with pytest.raises(DiagnosticError, match="is an archive") as caught:
            load(tmp_path / name, graph)
        help = caught.value.diagnostics[0].help
        assert help is not None
        words = shlex.split(help.split("`")[1].replace("DIR", name[-3:]))
        assert words[0] == "python"
        assert run(*words[1:], cwd=tmp_path).returncode == 0
        assert load(tmp_path / name[-3:] / "weights.safetensors", graph).keys() == values.keys()


# Folders


def test_a_variant_of_half_precision_is_read_and_told(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    path = folder(tmp_path, {n: v.astype("f2") for n, v in theirs(values).items()})
    (path / "model.safetensors").rename(path / "model.fp16.safetensors")
    report = Report()
    load(path, graph, report=report)
    notes = [found.message for found in report.diagnostics]
    assert any("model.fp16.safetensors was read, the `fp16` variant" in note for note in notes)
    assert any("converted from float16" in note for note in notes)
    save_file(theirs(values), path / "model.bf16.safetensors")
    codes, text = problems(path, graph)
    assert codes == ["PG301"]
    assert "2 variants" in text


def test_an_adapter(tmp_path: Path, graph: Graph) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    weights = {"base_model.model.encoder.query.lora_A.weight": np.ones((2, 2), "f4")}
    save_file(weights, tmp_path / "adapter_model.safetensors")
    for path in (tmp_path, tmp_path / "adapter_model.safetensors"):
        codes, text = problems(path, graph)
        assert codes == ["PG301"]
        assert "is an adapter" in text
        assert "merge_and_unload" in text


def test_the_folder_of_a_training_run(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    for step in (500, 1000, 90):
        folder(tmp_path / f"checkpoint-{step}", theirs(values))
    codes, text = problems(tmp_path, graph)
    assert codes == ["PG301"]
    assert "checkpoints of a training run (3)" in text
    assert text.index("checkpoint-1000`") < text.index("checkpoint-500`")
    assert load(tmp_path / "checkpoint-1000", graph).keys() == values.keys()


def test_the_cache_of_a_hub(tmp_path: Path, graph: Graph, values: Tensors) -> None:
    cache = tmp_path / "models--deepmind--language-perceiver"
    for revision in ("0aa", "9ff"):
        (cache / "snapshots").mkdir(parents=True, exist_ok=True)
        folder(cache / "snapshots" / revision, theirs(values))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("9ff")
    for path in (cache, cache / "snapshots"):
        codes, text = problems(path, graph)
        assert codes == ["PG301"]
        assert "cache of a hub" in text
        assert f"name the revision: `{cache / 'snapshots' / '9ff'}`" in text


def test_what_lies_in_the_folders_of_a_folder_is_found(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    place = tmp_path / "lightning_logs" / "version_0" / "checkpoints"
    place.mkdir(parents=True)
    torch.save({}, place / "epoch=3.ckpt")
    codes, text = problems(tmp_path, graph)
    assert codes == ["PG301"]
    assert f"did you mean `{place / 'epoch=3.ckpt'}`?" in text


def test_of_artifacts_in_a_folder_only_those_with_weights_are_named(
    tmp_path: Path, graph: Graph
) -> None:
    compiled = pg.compile(parse_spec(SPEC))
    compiled.save(tmp_path / "a_to_run")
    compiled.save(tmp_path / "to_train", backends=["torch", "onnx"])
    codes, text = problems(tmp_path, graph)
    assert codes == ["PG301"]
    assert f"did you mean `{tmp_path / 'to_train'}`?" in text
    compiled.weights(tmp_path / "to_train")


def test_the_index_of_shards_is_read_by_its_name(
    tmp_path: Path, graph: Graph, values: Tensors
) -> None:
    (tmp_path / "m-1.safetensors").write_bytes(save(values))
    listed = ", ".join(f'"{name}": "m-1.safetensors"' for name in values)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(f'{{"weight_map": {{{listed}}}}}')
    found = load(index, graph)
    assert all(np.array_equal(found[name], value) for name, value in values.items())


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"\x00\x00\x00\x18ftypisom", "an MP4 file, or one of its relatives"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "a WAV recording"),
        (b"%PDF-1.4", "a PDF document"),
        (b"<!DOCTYPE html><html>", "a web page"),
    ],
)
def test_media_in_the_place_of_weights_are_called_by_their_names(
    tmp_path: Path, data: bytes, what: str
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data + bytes(100))
    with pytest.raises(DiagnosticError, match=f"is {what}") as found:
        read_tensors(path)
    assert ".safetensors file" in str(found.value) or "download it again" in str(found.value)
