"""Every shipped system trains: the loss of its task falls on one batch, small.

The emitted module is used as its users have it: nothing of the package takes part but what wrote it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import perceiver_graph as pg
from perceiver_graph.spec.loader import load_spec
from tests.small import SMALL
from tests.support import vocabulary

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import losses

STEPS = 20
BATCH = 4
ENLARGED = {"lucidrains_perceiver": 15, "luna": 10, "tabicl_columns": 15}
"""How much larger matrices start where a norm before the head lets it learn much by itself."""
LENGTH = 10
Loss = Callable[[dict[str, Tensor]], Tensor]
Target = Callable[[Tensor], Tensor]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small only lose by more threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fresh(name: str) -> tuple[Any, dict[str, Tensor], dict[str, Tensor] | None]:
    """The module of a small variant, started from a seed, with inputs and queries of its own."""
    compiled = pg.compile(load_spec(name, overrides=list(SMALL[name])))
    module: Any = compiled.to_torch(compiled.weights(seed=1)).train()
    generator = torch.Generator().manual_seed(2)
    symbols = dict.fromkeys(compiled.lowered.document.spec.dims, LENGTH) | {"batch": BATCH}
    inputs = {}
    for leaf in compiled.graph.inputs:
        shape = [dim.evaluate(symbols) for dim in leaf.value.shape] if leaf.role == "data" else []
        if leaf.role == "data" and leaf.value.dtype == "int64":
            inputs[leaf.of] = ids(vocabulary(compiled.lowered, leaf.of), shape, generator)
        elif leaf.role == "data":
            inputs[leaf.of] = torch.rand(shape, generator=generator) * 2 - 1
        elif leaf.role == "attention_mask":
            lengths = torch.tensor([LENGTH, 4, 7, 5])
            there = torch.arange(LENGTH)[None] < lengths[:, None]
            sizes = [dim.evaluate(symbols) for dim in leaf.value.shape]
            places = [1] * (len(sizes) - 2)
            inputs[leaf.value.name] = there.reshape(BATCH, *places, LENGTH).expand(sizes)
    points = {
        leaf.of: leaf.value.shape[-1] for leaf in compiled.graph.inputs if leaf.role == "points"
    }
    outputs = {n: o for n, o in compiled.lowered.outputs.items() if n not in points}
    counts = {n: o.queries.evaluate(symbols) for n, o in outputs.items() if o.axes}
    asked = {n: torch.arange(count) for n, count in counts.items() if count}
    for name, coordinates in points.items():
        some = torch.rand((BATCH, 5, int(coordinates)), generator=generator)
        asked[name] = some * 2 - 1
    return module, inputs, asked or None


def ids(count: int | list[int], shape: list[int], generator: torch.Generator) -> Tensor:
    """Ids of a vocabulary, those of what stands for itself left out, or of several in the channels."""
    if isinstance(count, list):
        several = [torch.randint(one, shape[:-1], generator=generator) for one in count]
        return torch.stack(several, dim=-1)
    return torch.randint(6 if count >= 50 else 0, min(count, 50), shape, generator=generator)


def loss_of(name: str, first: dict[str, Tensor]) -> Loss:
    """The loss of a system's task for random targets in the shape of its outputs."""
    generator = torch.Generator().manual_seed(3)

    def classes(output: Tensor) -> Tensor:
        return torch.randint(output.shape[-1], output.shape[:-1], generator=generator)

    def numbers(output: Tensor) -> Tensor:
        return torch.rand(output.shape, generator=generator)

    match name:
        case "kinetics":
            targets = {n: numbers(first[n]) for n in ("audio", "image")}
            targets["label"] = classes(first["label"])
            return lambda found: losses.autoencoding(found, targets)
        case "language" | "language_plus" | "language_sentencepiece":
            ids = classes(first["text"])
            ids[:, ::3] = -100
            return lambda found: losses.masked_language(found["text"], ids)
        case "token_classification":
            labels = classes(first["entities"])
            return lambda found: losses.masked_language(found["entities"], labels)
        case "question_answering":
            ends = torch.tensor([1, 0, 3, 2]), torch.tensor([4, 2, 5, 2])
            return lambda found: losses.span(found["span"], *ends)
        case "glue_multitask":
            answers = {
                n: classes(o) if o.shape[-1] > 1 else numbers(o)[:, 0] for n, o in first.items()
            }
            return lambda found: losses.glue(found, answers)
        case "optical_flow":
            truth = numbers(first["flow"]) / 10
            return lambda found: losses.end_point_error(found["flow"], truth)
        case "audioset" | "audioset_mel":
            several = (numbers(first["label"]) > 0.7).float()
            return lambda found: losses.multi_label(found["label"], several)
        case "starcraft":
            features = numbers(first["entities"])
            there = torch.rand(features.shape[:2], generator=generator) < 0.7
            return lambda found: losses.per_entity(found["entities"], features, there)
        case "object_detection":
            objects = [
                (torch.tensor([0, 2]), torch.rand(2, 4, generator=generator)) for _ in range(BATCH)
            ]
            return lambda found: losses.matched_set(found["classes"], found["boxes"], objects)
    return _of_one(first, classes, numbers)


def _of_one(first: dict[str, Tensor], classes: Target, numbers: Target) -> Loss:
    """Where there is one output: scores of a label, or what another model reads. Several such answers
    of the same queries are those of a column here, whatever the row."""
    output, *others = first
    if others:
        wholes = {n: numbers(o[..., :1, :]).expand(o.shape) for n, o in first.items()}
        return lambda found: sum(
            (F.mse_loss(found[n], x) for n, x in wholes.items()), torch.zeros(())
        )
    if output != "label":
        wanted = numbers(first[output])
        return lambda found: F.mse_loss(found[output], wanted)
    labels = classes(first["label"])
    return lambda found: losses.classification(found["label"], labels)


def enlarge(name: str, module: nn.Module, factor: float) -> None:
    """Multiply all matrices of a new module that starts as those of transformers do: they are so
    small that attention is even at first. Those of DeepMind are large enough."""
    if load_spec(name).spec.dialect == "deepmind":
        return
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(factor)


def train(
    module: nn.Module,
    inputs: Any,
    asked: Any,
    loss: Loss,
    steps: int = STEPS,
    forward: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[float]:
    """The loss before each step; `forward` is entered anew around each forward pass."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    history = []
    for _ in range(steps):
        optimizer.zero_grad()
        with forward():
            found = module(inputs, asked)
        value = loss(found)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        history.append(value.item())
    return history


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def assert_alike(found: list[Tensor], expected: list[Tensor]) -> None:
    """Each within a thousandth of its own largest number, most of which are far below 1."""
    for some, other in zip(found, expected, strict=True):
        assert (some - other).abs().max() <= 1e-3 * other.abs().max() + 1e-9


@pytest.mark.parametrize("name", SMALL)
def test_the_loss_falls(name: str) -> None:
    """Further than the heads alone bring it, which learn how frequent the targets are."""
    left = {"heads.": 1.0}
    for part in ("", "heads."):
        module, inputs, asked = fresh(name)
        if not any(parameter.startswith(part) for parameter, _ in module.named_parameters()):
            continue  # a part of another model, which has the heads
        enlarge(name, module, ENLARGED.get(name, 3))
        module.train()
        for parameter, value in module.named_parameters():
            value.requires_grad_(value.requires_grad and parameter.startswith(part))
        loss = loss_of(name, module(inputs, asked))
        history = train(module, inputs, asked, loss)
        assert all(value == value for value in history)
        left[part] = min(history[-3:]) / history[0]
    assert left[""] < 0.95 * min(1, left["heads."])


UNUSED = {"kinetics": {"inputs.label.padding"}}
"""Parameters that no output depends on: the label's mask token replaces its padding, too."""


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    module, inputs, asked = fresh(name)
    spec = load_spec(name, overrides=list(SMALL[name])).spec
    for part, modality in spec.inputs.items():  # a mask token is read where a modality is absent
        if spec.join and modality.mask is None:
            inputs[f"{part}.present"] = torch.tensor([True, False, True, True])
    loss = loss_of(name, module(inputs, asked))
    loss(module(inputs, asked)).backward()  # type: ignore[no-untyped-call]
    without = {n for n, p in module.named_parameters() if p.grad is None}
    assert without == {n for n, p in module.named_parameters() if not p.requires_grad}
    assert without == UNUSED.get(name, set())


@pytest.mark.parametrize("name", ["language", "imagenet_conv", "kinetics"])
def test_checkpointed_layers_have_the_same_gradients(name: str) -> None:
    """As docs/training.md shows it: every self-attend layer is computed again when needed."""
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
        apply_activation_checkpointing,
    )

    found = []
    for checkpointed in (False, True):
        module, inputs, asked = fresh(name)
        calls: list[nn.Module] = []
        for layer in module.modules():
            if type(layer).__name__ == "SelfAttendLayer":
                # Before: what is computed again stops as soon as it has what is needed.
                layer.register_forward_pre_hook(lambda layer, _, calls=calls: calls.append(layer))
        if checkpointed:
            apply_activation_checkpointing(
                module, check_fn=lambda layer: type(layer).__name__ == "SelfAttendLayer"
            )
        loss = loss_of(name, module(inputs, asked))
        calls.clear()
        value = loss(module(inputs, asked))
        forward = list(calls)
        value.backward()  # type: ignore[no-untyped-call]
        assert forward
        assert calls == forward + (forward[::-1] if checkpointed else [])
        found.append(gradients(module))
    assert_alike(found[1], found[0])


@pytest.mark.parametrize("name", ["language", "imagenet_perceiver", "starcraft"])
def test_compiled_modules_train_alike(name: str) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    histories, found = [], []
    for compiled in (False, True):
        module, inputs, asked = fresh(name)
        loss = loss_of(name, module(inputs, asked))
        step: Any = torch.compile(module, fullgraph=True, backend=counter) if compiled else module
        histories.append(train(step, inputs, asked, loss, steps=4))
        found.append(gradients(module))
    assert counter.frame_count == 1, "compiled once, for all steps"
    assert counter.op_count > 50
    assert histories[0] == pytest.approx(histories[1], rel=1e-4)
    assert_alike(found[1], found[0])


@pytest.mark.parametrize("name", ["language", "optical_flow", "imagenet_conv"])
def test_bfloat16_autocast_trains(name: str) -> None:
    """Linear maps give bfloat16, parameters and gradients stay float32, and the loss falls as far.

    Autocast keeps the weights that it has cast until it is left: around several steps, most of the
    model would not change.
    """
    kinds: list[set[torch.dtype]] = []
    histories = []
    for enabled in (False, True):
        module, inputs, asked = fresh(name)
        loss = loss_of(name, module(inputs, asked))
        seen: set[torch.dtype] = set()
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_hook(lambda *call, seen=seen: seen.add(call[-1].dtype))

        def in_float32(found: dict[str, Tensor], loss: Loss = loss) -> Tensor:
            return loss({n: output.float() for n, output in found.items()})

        def forward(enabled: bool = enabled) -> torch.autocast:
            return torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled)

        histories.append(train(module, inputs, asked, in_float32, steps=6, forward=forward))
        kinds.append(seen)
        assert {g.dtype for g in gradients(module)} == {torch.float32}
    assert kinds == [{torch.float32}, {torch.bfloat16}]
    exact, rounded = (history[0] - history[-1] for history in histories)
    assert exact > 0.02 * histories[0][0]
    assert rounded == pytest.approx(exact, rel=0.1)
