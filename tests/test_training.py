"""Every shipped system trains: the loss of its task falls on one batch, small.

The emitted module is used as its users have it: nothing of the package takes part but what wrote it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import perceiver_graph as pg
from perceiver_graph.spec.loader import load_spec
from tests.small import SMALL

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import losses

STEPS = 20
BATCH = 4
LENGTH = 10
Loss = Callable[[dict[str, Tensor]], Tensor]


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
    module: Any = compiled.to_torch(compiled.weights(seed=1))
    generator = torch.Generator().manual_seed(2)
    symbols = dict.fromkeys(compiled.lowered.document.spec.dims, LENGTH) | {"batch": BATCH}
    inputs = {}
    for leaf in compiled.graph.inputs:
        shape = [dim.evaluate(symbols) for dim in leaf.value.shape] if leaf.role == "data" else []
        if leaf.role == "data" and leaf.value.dtype == "int64":
            inputs[leaf.of] = torch.randint(6, 50, shape, generator=generator)
        elif leaf.role == "data":
            inputs[leaf.of] = torch.rand(shape, generator=generator) * 2 - 1
        elif leaf.role == "attention_mask":
            lengths = torch.tensor([LENGTH, 4, 7, 5])
            inputs[leaf.value.name] = torch.arange(LENGTH)[None] < lengths[:, None]
    outputs = compiled.lowered.outputs
    asked = {n: torch.arange(o.queries.evaluate(symbols)) for n, o in outputs.items() if o.axes}
    return module, inputs, asked


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
    labels = classes(first["label"])
    return lambda found: losses.classification(found["label"], labels)


def train(
    module: nn.Module, inputs: Any, asked: Any, loss: Loss, steps: int = STEPS
) -> list[float]:
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    history = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(module(inputs, asked))
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        history.append(value.item())
    return history


@pytest.mark.parametrize("name", SMALL)
def test_the_loss_falls(name: str) -> None:
    module, inputs, asked = fresh(name)
    module.train()
    loss = loss_of(name, module(inputs, asked))
    history = train(module, inputs, asked, loss)
    assert all(value == value for value in history)
    assert min(history[-3:]) < 0.97 * history[0], history


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

    gradients = []
    for checkpointed in (False, True):
        module, inputs, asked = fresh(name)
        if checkpointed:
            apply_activation_checkpointing(
                module, check_fn=lambda layer: type(layer).__name__ == "SelfAttend"
            )
        loss = loss_of(name, module(inputs, asked))
        loss(module(inputs, asked)).backward()  # type: ignore[no-untyped-call]
        gradients.append([p.grad for p in module.parameters() if p.grad is not None])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


@pytest.mark.parametrize("name", ["language", "imagenet_perceiver", "starcraft"])
def test_compiled_modules_train_alike(name: str) -> None:
    histories = []
    for compiled in (False, True):
        module, inputs, asked = fresh(name)
        loss = loss_of(name, module(inputs, asked))
        step: Any = (
            torch.compile(module, fullgraph=True, backend="aot_eager") if compiled else module
        )
        histories.append(train(step, inputs, asked, loss, steps=4))
    assert histories[0] == pytest.approx(histories[1], rel=1e-4)


@pytest.mark.parametrize("name", ["language", "optical_flow", "imagenet_conv"])
def test_bfloat16_autocast_trains(name: str) -> None:
    module, inputs, asked = fresh(name)
    loss = loss_of(name, module(inputs, asked))

    def autocast_loss(found: dict[str, Tensor]) -> Tensor:
        return loss({n: output.float() for n, output in found.items()})

    with torch.autocast("cpu", dtype=torch.bfloat16):
        history = train(module, inputs, asked, autocast_loss, steps=6)
    assert history[-1] < history[0]
