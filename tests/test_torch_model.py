"""Emitted models as their users meet them: the text, training, export, dtypes, files."""

from __future__ import annotations

import ast
import copy
import importlib.util
import inspect
import io
import os
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import perceiver_graph as pg
from perceiver_graph.compiler.backends.torch.interface import interface_of
from perceiver_graph.compiler.backends.torch.loading import write
from perceiver_graph.compiler.backends.torch.source import source
from perceiver_graph.compiler.ir.sizes import largest
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.spec.loader import parse_spec
from tests.torch_support import SPEC, assert_clean, emit, lowered, module, parameters, tensors

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def small() -> tuple[Lowered, str]:
    model = lowered()
    return model, emit(model)


def test_the_source_reads_like_code(small: tuple[Lowered, str]) -> None:
    _, text = small
    assert_clean(text)
    assert text == emit(lowered())
    assert "class SmallModel(nn.Module):" in text
    classes = [node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert classes.count("SelfAttendLayer") == 1
    assert {"Mlp", "EncoderCrossAttendLayer", "DecoderCrossAttendLayer", "ImageModality"} <= set(
        classes
    )
    assert "self.layers = nn.ModuleList(SelfAttendLayer() for _ in range(3))" in text
    shape = "  # [batch, 6, 16]\n"
    assert f"        for layer in self.layers:\n            latents = layer(latents){shape}" in text
    assert f"        for _ in range(2):\n            latents = self.process(latents){shape}" in text
    assert '"""latents [batch, 6, 16] -> [batch, 6, 16]."""' in text
    assert '"""x [batch, n, width] -> [batch, n, width]."""' in text
    assert "# specs/small.yaml:16\nclass SelfAttendLayer(" in text
    assert "Mlp(width=16)" in text


def test_state_dict_has_the_names_of_the_parameters(small: tuple[Lowered, str]) -> None:
    model, text = small
    shapes = {p.value.name: tuple(map(int, p.value.shape)) for p in model.graph.parameters}
    state = module(text).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    stored = io.BytesIO()
    torch.save(state, stored)
    stored.seek(0)
    assert set(torch.load(stored)) == set(shapes)


def test_a_fresh_model_starts_as_the_graph_says(small: tuple[Lowered, str]) -> None:
    model, text = small
    torch.manual_seed(0)
    state = module(text).state_dict()
    for leaf in model.graph.parameters:
        tensor = state[leaf.value.name]
        if leaf.init.kind == "normal":
            assert 0 < tensor.std() < 3 * leaf.init.scale
        else:
            assert (tensor == (leaf.init.kind == "ones")).all()


def test_training_reaches_every_parameter(small: tuple[Lowered, str]) -> None:
    model, text = small
    net, inputs = module(text), tensors(model)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        outputs = net(inputs)
        loss = sum((tensor - 1).square().mean() for tensor in outputs.values())
        assert isinstance(loss, torch.Tensor)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    missing = {name for name, parameter in net.named_parameters() if parameter.grad is None}
    assert missing == {"inputs.label.padding"}  # the label is always masked


def test_chunks_and_chosen_positions_agree(small: tuple[Lowered, str]) -> None:
    model, text = small
    net, inputs = module(text, parameters(model.graph)).eval(), tensors(model)
    everything = net(inputs)
    chosen = torch.tensor([60, 3, 3])
    state = net.encode(inputs)
    some = net.decode(state, {"image": chosen})
    assert set(some) == {"image", "label"}
    torch.testing.assert_close(some["image"], everything["image"].flatten(1, 2)[:, chosen])
    assert everything["image"].shape == (2, 8, 8, 3)
    assert everything["audio"].shape == (2, 2, 16)  # fewer positions than chunks
    assert net.decode(state, {"image": chosen[:0]})["image"].shape == (2, 0, 3)


def test_missing_modalities_are_masked(small: tuple[Lowered, str]) -> None:
    model, text = small
    net, inputs = module(text, parameters(model.graph)), tensors(model)
    alone = net({"image": inputs["image"]})
    flagged = net(inputs | {"audio.present": torch.tensor([False, False])})
    torch.testing.assert_close(alone, flagged)
    assert not torch.allclose(alone["label"], net(inputs)["label"])
    for wrong, message in [
        ({}, "no input"),
        ({"imgae": inputs["image"]}, "no input `imgae`, only audio"),
        (
            {"image": inputs["audio"]},
            r"`image` has shape \[2, 32, 1\], and takes 4 axes: \[batch, height, width, channel\]",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            net(wrong)
    with pytest.raises(ValueError, match="no output with positions `label`"):
        net(inputs, {"label": torch.tensor([0])})


def test_compile_and_export() -> None:
    model = lowered(SPEC, "process.layers=1", "decode.chunks=2")
    text = emit(model)
    net, inputs = module(text, parameters(model.graph)).eval(), tensors(model)
    queries = {"image": torch.tensor([1, 5, 9, 2]), "audio": torch.tensor([1, 0])}
    expected = net(inputs), net(inputs, queries)
    compiled: Any = torch.compile(net, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close((compiled(inputs), compiled(inputs, queries)), expected)
    whole = torch.export.export(net, (inputs,), strict=True)
    torch.testing.assert_close(whole.module()(inputs), expected[0])
    batch, count = torch.export.Dim("batch"), torch.export.Dim("count")
    sizes = {name: {0: batch} for name in inputs}, {"image": {0: count}, "audio": None}
    exported = torch.export.export(
        net,
        (inputs,),
        {"queries": queries},
        strict=True,
        dynamic_shapes=dict(zip(("inputs", "queries"), sizes, strict=True)),
    )
    first = {
        name: tensor[:1].repeat(3, *[1] * (tensor.ndim - 1)) for name, tensor in inputs.items()
    }
    fewer = queries | {"image": queries["image"][:3]}
    torch.testing.assert_close(exported.module()(first, queries=fewer), net(first, fewer))


def test_models_come_in_eval_mode_from_a_folder_or_its_file(tmp_path: Path) -> None:
    """So that they answer as the programs do, and a call changes nothing."""
    text = SPEC.replace(
        "patch: {height: 4, width: 4}}", "patch: {height: 4, width: 4}}, {batch_norm: {}}"
    )
    compiled = pg.compile(parse_spec(text))
    compiled.save(tmp_path / "m", backends=["torch"])
    spec = importlib.util.spec_from_file_location("m", tmp_path / "m" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    emitted = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(emitted)
    for net in (compiled.to_torch(), emitted.load()):
        assert not any(part.training for part in net.modules())
    for place in (tmp_path / "m", tmp_path / "m" / "weights.safetensors"):
        torch.testing.assert_close(emitted.load(place).state_dict(), emitted.load().state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_are_kept(small: tuple[Lowered, str], dtype: torch.dtype) -> None:
    model, text = small
    inputs = tensors(model)
    net = module(text, parameters(model.graph)).eval()
    expected = net(inputs)
    found = net.to(dtype)({name: tensor.to(dtype) for name, tensor in inputs.items()})
    for name, tensor in found.items():
        assert tensor.dtype == dtype
        torch.testing.assert_close(tensor.float(), expected[name], rtol=0.1, atol=0.1)


def test_copies_and_devices(small: tuple[Lowered, str]) -> None:
    model, text = small
    net, inputs = module(text, parameters(model.graph)), tensors(model)
    torch.testing.assert_close(copy.deepcopy(net)(inputs), net(inputs))
    moved = copy.deepcopy(net).to("meta")
    assert {tensor.device.type for tensor in (*moved.buffers(), *moved.parameters())} == {"meta"}
    outputs = moved({name: tensor.to("meta") for name, tensor in inputs.items()})
    assert outputs["image"].device.type == "meta"


def test_tools_find_the_source(small: tuple[Lowered, str]) -> None:
    _, text = small
    net = module(text)
    assert inspect.getsource(type(net)) in text
    with pytest.raises(ValueError, match="no input") as caught:
        net({})
    assert 'raise ValueError("no input is given' in "".join(
        traceback.format_exception(caught.value)
    )
    assert type(module(text)) is type(net)


def test_a_model_pickles_with_its_source(small: tuple[Lowered, str], tmp_path: Path) -> None:
    model, text = small
    net, inputs = module(text, parameters(model.graph)).eval(), tensors(model)
    torch.save(net, tmp_path / "whole.pt")
    torch.save(net.process, tmp_path / "part.pt")
    torch.save([inputs, net(inputs)], tmp_path / "expected.pt")
    code = """
import torch
from inspect import getsource
part = torch.load("part.pt", weights_only=False)
net = torch.load("whole.pt", weights_only=False)
assert type(part) is type(net.process)
assert not net.training
assert getsource(type(net)).startswith("class SmallModel(nn.Module):")
inputs, expected = torch.load("expected.pt")
torch.testing.assert_close(net(inputs), expected)
assert torch.nn.utils.parameters_to_vector(net.parameters()).requires_grad
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120, env=environment)


def test_a_class_derived_from_a_model_pickles_as_its_own(small: tuple[Lowered, str]) -> None:
    made = type(module(small[1]))
    derived: Any = type("Derived", (made,), {"__module__": __name__})
    globals()["Derived"] = derived
    assert type(pickle.loads(pickle.dumps(derived()))) is derived


@pytest.mark.parametrize("process", ["layers: 300", "layers: 1, blocks: 200, share: false"])
def test_hundreds_of_layers(process: str) -> None:
    deep = lowered(SPEC.replace("layers: 3, blocks: 2", process))
    text = emit(deep)
    assert len(text.splitlines()) < 1.1 * len(emit(lowered()).splitlines())
    net = module(text)
    assert len(net.state_dict()) == len(deep.graph.parameters)
    assert net.encode(tensors(deep))["latents"].shape == (2, 6, 16)


@pytest.mark.parametrize("name", ["small", "object_detection"])
def test_the_flops_that_are_said_are_those_that_are_done(name: str, tmp_path: Path) -> None:
    compiled = pg.compile(parse_spec(SPEC)) if name == "small" else pg.compile(name)
    sizes = largest(compiled.graph.symbols)
    net = compiled.to_torch().to("meta")
    inputs = {
        leaf.of: torch.zeros([dim.evaluate(sizes) for dim in leaf.value.shape], device="meta")
        for leaf in compiled.graph.inputs
        if leaf.role == "data"
    }
    with FlopCounterMode(display=False) as counter:
        net(inputs)
    manifest = compiled.save(tmp_path / "artifact", backends=("torch",))
    assert manifest.flops == compiled.module_flops
    assert compiled.module_flops == pytest.approx(counter.get_total_flops(), rel=0.002)


def test_source_needs_no_torch() -> None:
    code = """
import sys
from perceiver_graph.compiler.backends.torch.source import source
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec.loader import load_spec
assert "class Kinetics(" in source(lower(load_spec("kinetics")).graph, name="kinetics")
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_the_file_needs_only_torch(small: tuple[Lowered, str], tmp_path: Path) -> None:
    model, _ = small
    weights, inputs = parameters(model.graph), tensors(model)
    names: dict[str, Any] = {"name": "small-model", "header": "A small model", "chunks": 4}
    names |= {"interface": interface_of(model)}
    for folder in (tmp_path / "once", tmp_path / "again"):
        folder.mkdir()
        files = write(source(model.graph, **names), model.graph, weights, folder)
        assert files == ["model.py", "weights.safetensors"]
        assert sorted(path.name for path in folder.iterdir()) == files
    for file in files:
        first, second = ((tmp_path / f / file).read_bytes() for f in ("once", "again"))
        assert first == second
    text = (tmp_path / "once" / "model.py").read_text()
    assert text.startswith('"""A small model.\n')
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
    froms = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    roots = {alias.name.split(".")[0] for node in imports for alias in node.names}
    roots |= {str(node.module).split(".")[0] for node in froms}
    assert roots - sys.stdlib_module_names == {"torch"}
    torch.save(inputs, tmp_path / "inputs.pt")
    code = f"""
import sys
sys.modules.update(dict.fromkeys(("perceiver_graph", "safetensors", "transformers")))
sys.path.insert(0, {str(tmp_path / "once")!r})
import torch
from model import load
with torch.no_grad():
    torch.save(load(device="cpu")(torch.load({str(tmp_path / "inputs.pt")!r})), "outputs.pt")
"""
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, timeout=120)
    outputs = torch.load(tmp_path / "outputs.pt")
    expected = module(emit(model), weights)(inputs)
    torch.testing.assert_close(outputs, expected)


def test_nothing_is_written_without_all_parameters(
    small: tuple[Lowered, str], tmp_path: Path
) -> None:
    graph = small[0].graph
    weights = parameters(graph)
    del weights["latents"]
    with pytest.raises(KeyError, match="latents"):
        write("", graph, weights, tmp_path)
    assert not list(tmp_path.iterdir())
