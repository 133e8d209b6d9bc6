"""Files that `torch.save` wrote: their tensors are read as torch reads them, and nothing of them runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.importing.torch_files import tensors_at
from perceiver_graph.diagnostics import DiagnosticError
from tests.import_checks import problems, same
from tests.import_support import CLASSES


def as_pickle(folder: Path, target: Path, pieces: int = 1) -> Path:
    """The same checkpoint with its weights in files of PyTorch."""
    Path(shutil.copytree(folder, target))
    tensors = load_file(target / "model.safetensors")
    (target / "model.safetensors").unlink()
    if pieces == 1:
        torch.save(OrderedDict(tensors), target / "pytorch_model.bin")
        return target
    names = {name: f"pytorch_model-{i % pieces}.bin" for i, name in enumerate(tensors)}
    for file in sorted(set(names.values())):
        torch.save({n: t for n, t in tensors.items() if names[n] == file}, target / file)
    index = {"metadata": {}, "weight_map": names}
    (target / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return target


@pytest.mark.parametrize("short_class", CLASSES)
def test_a_checkpoint_of_each_class(short_class: str, checkpoints: Any, tmp_path: Path) -> None:
    expected = import_checkpoint(checkpoints[short_class])
    for pieces in (1, 3):
        found = import_checkpoint(
            as_pickle(checkpoints[short_class], tmp_path / str(pieces), pieces)
        )
        assert same(found, expected)


def test_a_file_beside_its_configuration(checkpoint: Path, tmp_path: Path) -> None:
    expected = import_checkpoint(checkpoint)
    folder = as_pickle(checkpoint, tmp_path / "other")
    assert same(import_checkpoint(folder / "pytorch_model.bin"), expected)


def test_safetensors_are_read_where_there_are_both(checkpoint: Path) -> None:
    (checkpoint / "pytorch_model.bin").write_bytes(b"")
    assert import_checkpoint(checkpoint).weights


TENSORS = {
    "plain": torch.arange(6.0).reshape(2, 3),
    "turned": torch.arange(6.0).reshape(2, 3).t(),
    "part": torch.arange(10.0)[3:9:2],
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "scalar": torch.tensor(3.5),
    "none": torch.zeros(0, 4),
    "half": torch.arange(3).half(),
    "brain": torch.arange(3).bfloat16(),
    "double": torch.arange(3).double(),
    "long": torch.tensor(7),
    "bool": torch.tensor([True, False]),
}


def test_tensors_of_any_layout_and_dtype(tmp_path: Path) -> None:
    module = torch.nn.BatchNorm1d(4)  # its state dict has metadata
    for saved in (TENSORS, module.state_dict()):
        torch.save(saved, tmp_path / "w.pt")
        found = tensors_at(tmp_path / "w.pt")
        assert found is not None
        assert sorted(found.names) == sorted(saved)
        for name, expected in saved.items():
            tensor = found.tensors[name]
            assert tensor.dtype == str(expected.dtype).removeprefix("torch.")
            ours, theirs = tensor.read(), expected.detach()
            assert ours.shape == tensor.shape == tuple(theirs.shape)
            np.testing.assert_array_equal(ours.astype(np.float64), theirs.double().numpy())


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch PWNED",)


def test_no_code_runs(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = as_pickle(checkpoint, tmp_path / "hostile")
    torch.save({"a": torch.ones(1), "b": _Hostile()}, folder / "pytorch_model.bin")
    codes, text = problems(folder)
    assert codes == ["PG312"]
    assert "posix.system" in text
    assert "nothing of it was imported or called" in text
    assert not (tmp_path / "PWNED").exists()


def test_the_checkpoint_of_a_trainer_is_no_model(checkpoint: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}, "epoch": 3}, checkpoint / "last.ckpt")
    codes, text = problems(checkpoint / "last.ckpt")
    assert codes == ["PG301"]
    assert "torch.load(" in text


def _archive(path: Path, changed: dict[str, bytes], *, deflated: bool = False) -> Path:
    """A file of PyTorch with some of its entries replaced."""
    stream = io.BytesIO()
    torch.save({"a": torch.arange(4.0)}, stream)
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(path, "w", kind) as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name.partition("/")[2], old.read(name)))
    return path


class _Stored(pickle.Pickler):
    """Writes pickles of any call, with elements as torch names them."""

    def persistent_id(self, value: object) -> Any:
        return value.told if isinstance(value, _Elements) else None


class _Elements:
    def __init__(self, *told: object) -> None:
        self.told = told


class _Made:
    def __init__(self, function: Any, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.function, self.arguments


def _pickle(value: object) -> bytes:
    stream = io.BytesIO()
    _Stored(stream, 2).dump({"a": value})
    return stream.getvalue()


_KIND = torch.FloatStorage
_OF_FOUR = _Elements("storage", _KIND, "0", "cpu", 4)
_REBUILD = torch._utils._rebuild_tensor_v2


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (_Made(_REBUILD, _OF_FOUR, 0, (5,), (1,), False, {}), "PG312"),
        (_Made(_REBUILD, _OF_FOUR, 2, (3,), (1,), False, {}), "PG312"),
        (_Made(_REBUILD, _OF_FOUR, 0, (2, 2), (4, 1), False, {}), "PG312"),
        (_Made(_REBUILD, _OF_FOUR, 0, (9, 9), (0, 0), False, {}), "PG312"),
        (_Made(_REBUILD, _OF_FOUR, -1, (1,), (1,), False, {}), "PG312"),
        (_Made(_REBUILD, _OF_FOUR, 0, (2,), (-1,), False, {}), "PG312"),
        (_Made(_REBUILD, _OF_FOUR, 0, (2,), (1, 1), False, {}), "PG312"),
        (_Made(_REBUILD, _OF_FOUR, 0, [2], (1,), False, {}), "PG312"),
        (_Made(_REBUILD, "x", 0, (2,), (1,), False, {}), "PG312"),
        (_Made(_REBUILD, _Elements("storage", int, "0", "cpu", 4), 0, (2,), (1,), 0, {}), "PG312"),
        (_Made(_REBUILD, _Elements("module", "x"), 0, (2,), (1,), 0, {}), "PG312"),
        (
            _Made(_REBUILD, _Elements("storage", _KIND, "9", "cpu", 4), 0, (2,), (1,), 0, {}),
            "PG301",
        ),
        (
            _Made(_REBUILD, _Elements("storage", _KIND, "0", "cpu", 5), 0, (2,), (1,), 0, {}),
            "PG301",
        ),
        (_Made(OrderedDict, {"a": 1}), "PG312"),
    ],
)
def test_tensors_that_cannot_be(value: object, code: str, tmp_path: Path) -> None:
    path = _archive(tmp_path / "w.pt", {"data.pkl": _pickle(value)})
    with pytest.raises(DiagnosticError) as caught:
        tensors_at(path)
    assert caught.value.diagnostics[0].code == code


def test_archives_that_are_damaged(tmp_path: Path) -> None:
    for changed in ({"byteorder": b"big"}, {"data.pkl": b"\x80\2}"}, {"data/0": b"12"}):
        with pytest.raises(DiagnosticError, match="no complete file of PyTorch"):
            tensors_at(_archive(tmp_path / "w.pt", changed))
    with pytest.raises(DiagnosticError, match="no complete file of PyTorch"):
        tensors_at(_archive(tmp_path / "w.pt", {}, deflated=True))
    path = _archive(tmp_path / "w.pt", {})
    data = bytearray(path.read_bytes())
    at = data.find(np.arange(4, dtype="<f4").tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    found = tensors_at(path)
    assert found is not None
    with pytest.raises(DiagnosticError, match="Bad CRC"):
        found.get("a")


def test_many_names_for_the_same_elements(tmp_path: Path) -> None:
    one = torch.zeros(10_000)
    torch.save({str(i): one for i in range(3)}, tmp_path / "w.pt")
    assert tensors_at(tmp_path / "w.pt")
    torch.save({str(i): one for i in range(100)}, tmp_path / "w.pt")
    with pytest.raises(DiagnosticError, match="larger than it is"):
        tensors_at(tmp_path / "w.pt")


@settings(max_examples=400)
@given(
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_whatever_is_changed_it_is_read_or_refused(
    changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = _archive(tmp_path_factory.getbasetemp() / "noise.pt", {})
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    path.write_bytes(content)
    try:
        found = tensors_at(path)
        if found is not None:
            for name in found.names:
                found.tensors[name].read()
    except DiagnosticError:
        pass
