"""Weights of modules that torch has wrapped or changed: those that are a model's are read, of others is told
what makes them so."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils import parametrizations, parametrize, prune

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled

PRUNE: Any = prune  # which has no types
SPEC = """
perceiver: 1
name: wrapped
inputs: {x: {shape: {time: 4, channel: 3}}}
latents: {count: 2, width: 4}
process: {layers: 2, heads: 1}
outputs: {label: {query: {learned: {}}, head: {linear: 2}}}
"""


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return pg.compile(SPEC)


def averaged(net: Any) -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(net)


def compiled_inside(net: Any) -> nn.Module:
    net.process = torch.compile(net.process)
    return torch.compile(net)  # type: ignore[return-value]


def checkpointed_inside(net: Any) -> nn.Module:
    net.process.layers[0] = checkpoint_wrapper(net.process.layers[0])
    return nn.DataParallel(net)


def averaged_and_compiled(net: Any) -> nn.Module:
    return averaged(compiled_inside(net))


WRAPPED = [averaged, compiled_inside, checkpointed_inside, averaged_and_compiled]


@pytest.mark.parametrize("wrap", WRAPPED)
def test_what_torch_wraps_is_the_model(
    wrap: Callable[[Any], nn.Module], compiled: Compiled, tmp_path: Path
) -> None:
    net = compiled.to_torch(seed=3)
    wanted = {name: x.detach().numpy().copy() for name, x in net.state_dict().items()}
    module = wrap(net)
    state = {name: x.contiguous().clone() for name, x in module.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    for weights in (module, state, tmp_path / "w.safetensors"):
        found = compiled.weights(weights)
        assert found.keys() == wanted.keys()
        assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def test_a_count_of_ones_own_is_not_left_out_silently(compiled: Compiled) -> None:
    state = {**compiled.to_torch().state_dict(), "n_averaged": torch.tensor(3)}
    with pytest.raises(pg.DiagnosticError, match="no place in the model: `n_averaged`"):
        compiled.weights(state)


class Around(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.scale = nn.Parameter(torch.zeros(()))


def told(call: Callable[[], object]) -> str:
    with pytest.raises(pg.DiagnosticError) as caught:
        call()
    return str(caught.value.diagnostics[0].help)


def test_of_what_was_trained_around_a_model_its_part_is_told(compiled: Compiled) -> None:
    module = Around(compiled.to_torch(seed=1))
    help = told(lambda: compiled.weights(module))
    path = re.search(r"`MODULE\.(.*?)`", help)
    assert path
    compiled.weights(module.get_submodule(path[1]))


@pytest.mark.parametrize(
    ("change", "undo", "words"),
    [
        (
            parametrizations.weight_norm,
            lambda part: parametrize.remove_parametrizations(part, "weight"),
            "`torch.nn.utils.parametrize.remove_parametrizations(PART, NAME)`",
        ),
        (
            lambda part: PRUNE.l1_unstructured(part, "weight", 0.3),
            lambda part: PRUNE.remove(part, "weight"),
            '`torch.nn.utils.prune.remove(PART, "weight")`',
        ),
    ],
)
def test_weights_that_are_computed_from_others_are_told_how_they_are_made_again(
    change: Any, undo: Any, words: str, compiled: Compiled
) -> None:
    net = compiled.to_torch()
    parts = [part for part in net.modules() if isinstance(part, nn.Linear)]
    for part in parts:
        change(part)
    assert words in told(lambda: compiled.weights(net))
    for part in parts:
        undo(part)
    compiled.weights(net)


def test_an_optimizer_is_told_from_a_model(compiled: Compiled) -> None:
    net: Any = compiled.to_torch()
    optimizer: Any = torch.optim.AdamW(net.parameters())
    for weights in (optimizer, optimizer.state_dict()):
        assert "`model.state_dict()`" in told(partial(compiled.weights, weights))
    for other in (net.parameters(), net.state_dict().items(), net.state_dict):
        with pytest.raises(TypeError, match=r"as `state_dict\(\)` has them"):
            compiled.weights(other)
