"""Levels of the air against the class of microsoft-aurora, at published size on a few places and in
random configurations."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.family.harness import CONFIGURATIONS, TOLERANCE, library, module_of
from tests.parity.levels import PUBLISHED, Layers, Sizes, compare, drawn

_UTIL = "aurora.model.util"
_HALF = "fp16_safe_scaled_dot_product_attention"


def _theirs(sizes: Sizes) -> Any:
    """Their module. What else it imports is for half precision, and takes another library along."""
    before = sys.modules.get(_UTIL)
    stub = ModuleType(_UTIL)
    setattr(stub, _HALF, None)
    for name in ("aurora", "aurora.model"):
        sys.modules.setdefault(name, ModuleType(name))
    sys.modules[_UTIL] = before or stub
    kind = module_of("aurora", "model/perceiver.py", "PerceiverResampler")
    return kind(
        latent_dim=sizes.width,
        context_dim=sizes.width,
        depth=sizes.depth,
        head_dim=sizes.width // sizes.heads,
        num_heads=sizes.heads,
        mlp_ratio=float(sizes.ratio),
    )


def _layers(module: Any) -> Layers:
    found: Layers = []
    for attention, mlp, found_norm, mlp_norm in module.layers:
        key, value = attention.to_kv.weight.chunk(2)
        found.append(
            {
                "attention.query.weight": attention.to_q.weight,
                "attention.key.weight": key,
                "attention.value.weight": value,
                "attention.output.weight": attention.to_out.weight,
                "attention.output_norm.weight": found_norm.weight,
                "attention.output_norm.bias": found_norm.bias,
                "mlp.dense1.weight": mlp.net[0].weight,
                "mlp.dense1.bias": mlp.net[0].bias,
                "mlp.dense2.weight": mlp.net[2].weight,
                "mlp.dense2.bias": mlp.net[2].bias,
                "mlp.output_norm.weight": mlp_norm.weight,
                "mlp.output_norm.bias": mlp_norm.bias,
            }
        )
    return found


@pytest.mark.family
@pytest.mark.parametrize("name", PUBLISHED)
def test_levels(name: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    library("einops")
    published, double = compare(name, PUBLISHED[name], _theirs, _layers, tmp_path)
    random = 0.0
    for seed in range(CONFIGURATIONS):
        (folder := tmp_path / str(seed)).mkdir()
        single, other = compare(name, drawn(name, seed), _theirs, _layers, folder, seed)
        random, double = max(random, single), max(double, other)
    record_property(
        "line",
        f"{name:24} {'microsoft-aurora PerceiverResampler':62} {published:.1e} at published size, "
        f"{random:.1e} in {CONFIGURATIONS} random configurations (ONNX -O0 and -O2, PyTorch), "
        f"{double:.1e} in float64",
    )
    assert max(published, random) <= TOLERANCE
    assert double <= 1e-12
