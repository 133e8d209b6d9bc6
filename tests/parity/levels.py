"""The resampler that Aurora has between levels: a module of its structure, and how ours is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

import perceiver_graph as pg
from perceiver_graph.compiler.ir.interpreter import evaluate

Layers = list[dict[str, Tensor]]
"""The weights of each layer by their names in one of ours."""


@dataclass(frozen=True)
class Sizes:
    """Those of the published encoder and decoder."""

    width: int = 512
    heads: int = 16
    ratio: int = 4
    depth: int = 1
    rows: int = 3
    read: int = 13
    place: tuple[int, int] = (2, 3)


class Resampler(nn.Module):
    """Rows read others, layer after layer, with the norms behind the branches."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.layers = nn.ModuleList(nn.ModuleDict() for _ in range(sizes.depth))
        layer: Any
        for layer in self.layers:
            for name in ("query", "key", "value", "output"):
                layer[name] = nn.Linear(sizes.width, sizes.width, bias=False)
            layer["dense1"] = nn.Linear(sizes.width, sizes.width * sizes.ratio)
            layer["dense2"] = nn.Linear(sizes.width * sizes.ratio, sizes.width)
            layer["found_norm"] = nn.LayerNorm(sizes.width)
            layer["mlp_norm"] = nn.LayerNorm(sizes.width)

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, rows: Tensor, read: Tensor) -> Tensor:
        layer: Any
        for layer in self.layers:
            asked = self._split(layer["query"](rows))
            found = scaled_dot_product_attention(
                asked, self._split(layer["key"](read)), self._split(layer["value"](read))
            )
            found = layer["output"](found.transpose(1, 2).flatten(2))
            rows = rows + layer["found_norm"](found)
            hidden = layer["dense2"](gelu(layer["dense1"](rows)))
            rows = rows + layer["mlp_norm"](hidden)
        return rows


_NAMES = {"found_norm": "attention.output_norm", "mlp_norm": "mlp.output_norm"}
_NAMES |= {name: f"attention.{name}" for name in ("query", "key", "value", "output")}
_NAMES |= {name: f"mlp.{name}" for name in ("dense1", "dense2")}


def layers_of(module: Resampler) -> Layers:
    """What its layers hold, as ours call it."""
    return [
        {
            f"{_NAMES[name]}.{end}": tensor
            for key, tensor in layer.state_dict().items()
            for name, end in [key.split(".")]
        }
        for layer in module.layers
    ]


def compare(
    name: str,
    sizes: Sizes,
    make: Callable[[Sizes], Any],
    layers: Callable[[Any], Layers],
    folder: Path,
    seed: int = 0,
) -> tuple[float, float]:
    """The largest differences between a spec and a module of random numbers, as shares of its largest
    answer: of ONNX programs at -O0 and -O2 and of PyTorch, and of numpy in float64."""
    torch.manual_seed(seed)
    module = make(sizes).float().eval()
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            parameter.normal_(std=parameter.shape[-1] ** -0.5 if parameter.dim() > 1 else 0.3)
            if parameter.dim() == 1 and key.endswith("weight"):
                parameter.add_(1)
    x = torch.randn(2, *sizes.place, sizes.read, sizes.width)
    rows = torch.randn(sizes.rows, sizes.width)
    with torch.no_grad():
        asked = rows.expand(2 * sizes.place[0] * sizes.place[1], -1, -1).double()
        wanted = module.double()(asked, x.flatten(0, 2).double()).numpy()
        module.float()
    wanted = wanted.reshape(2, *sizes.place, sizes.rows, sizes.width)
    weights = _named(name, rows, layers(module))
    save_file(weights, folder / "weights.safetensors")
    off = []
    for level in (0, 2):
        compiled = pg.compile(name, level=level, overrides=_settings(name, sizes))
        compiled.save(folder / f"art{level}", weights=folder / "weights.safetensors")
        program = pg.load(folder / f"art{level}", device="cpu")
        off.append(_share(program.run({"air": x.numpy()})["air"], wanted))
        module = compiled.to_torch(folder / "weights.safetensors").eval()
        with torch.no_grad():
            off.append(_share(module({"air": x})["air"].numpy(), wanted))
    inputs: dict[str, Any] = {
        "air": x.numpy().astype(np.float64),
        "air.queries": np.arange(sizes.rows),
    }
    inputs |= {f"{s}.size": np.array([n]) for s, n in zip(_SYMBOLS, sizes.place, strict=True)}
    doubled = {key: tensor.numpy().astype(np.float64) for key, tensor in weights.items()}
    found = evaluate(compiled.graph, {k: inputs[k] for k in _given(compiled.graph)}, doubled)["air"]
    return max(off), _share(found, wanted)


_SYMBOLS = ("latitudes", "longitudes")


def _given(graph: Any) -> list[str]:
    return [leaf.value.name for leaf in graph.inputs]


def _share(found: Any, wanted: Any) -> float:
    assert found.shape == wanted.shape
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def _named(name: str, rows: Tensor, layers: Layers) -> dict[str, Tensor]:
    if name == "aurora_level_decoder":
        found = {"queries.air.table": rows}
        prefixes = ["decoder.cross_attend"]
    else:
        found = {"latents": rows}
        several = [f"encoder.cross_attends.{i}" for i in range(len(layers))]
        prefixes = several if len(layers) > 1 else ["encoder.cross_attend"]
    for prefix, layer in zip(prefixes, layers, strict=True):
        found |= {f"{prefix}.{key}": tensor for key, tensor in layer.items()}
    return {key: tensor.detach().clone().contiguous() for key, tensor in found.items()}


def _settings(name: str, sizes: Sizes) -> list[str]:
    last = f"inputs.air.shape.channel={sizes.width}"
    if name == "aurora_level_decoder":
        return [
            last,
            f"inputs.air.shape.latent={sizes.read}",
            f"latents.last={sizes.read}",
            f"outputs.air.query.learned={{count: {sizes.rows}, width: {sizes.width}}}",
            f"decode.heads={sizes.heads}",
            f"decode.widening={sizes.ratio}",
        ]
    return [
        last,
        f"inputs.air.shape.level={sizes.read}",
        f"latents={{count: {sizes.rows}, width: {sizes.width}}}",
        f"encode.heads={sizes.heads}",
        f"encode.widening={sizes.ratio}",
        f"encode.cross_attends={sizes.depth}",
    ]


PUBLISHED = {
    "aurora_level_encoder": Sizes(),
    "aurora_level_decoder": Sizes(width=1024, ratio=2, rows=13, read=3),
}


def drawn(name: str, seed: int) -> Sizes:
    """A random configuration. A decoder has one layer."""
    rng = np.random.default_rng(seed)
    heads = int(rng.integers(1, 5))
    return Sizes(
        width=heads * int(rng.integers(2, 9)),
        heads=heads,
        ratio=int(rng.integers(1, 5)),
        depth=int(rng.integers(1, 4)) if name == "aurora_level_encoder" else 1,
        rows=int(rng.integers(2, 6)),
        read=int(rng.integers(1, 14)),
        place=(int(rng.integers(1, 4)), int(rng.integers(1, 5))),
    )
