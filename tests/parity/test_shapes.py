"""The decoder of shapes against a module of the same structure, written out in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from tests.small import SMALL

WIDTH, HEADS, LATENTS = 32, 4, 9


def split(x: Tensor) -> Tensor:
    """[batch, n, heads * d] -> [batch, heads, n, d]."""
    return x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)


class Attention(nn.Module):
    """Rows read others, or themselves: one matrix for queries, keys and values, heads outermost."""

    def __init__(self, cross: bool) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False) if cross else None
        self.others = nn.Linear(WIDTH, WIDTH * (2 if cross else 3), bias=False)
        self.q_norm, self.k_norm = (nn.LayerNorm(WIDTH // HEADS, eps=1e-6) for _ in range(2))
        self.output = nn.Linear(WIDTH, WIDTH)

    def forward(self, rows: Tensor, read: Tensor) -> Tensor:
        parts = split(self.others(read))
        if self.query is None:
            q, k, v = parts.chunk(3, dim=-1)
        else:
            q = split(self.query(rows))
            k, v = parts.chunk(2, dim=-1)
        found = scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v)
        return self.output(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def named(self) -> dict[str, Tensor]:
        """Its parameters as ours are called."""
        names = ("key", "value") if self.query is not None else ("query", "key", "value")
        matrix = self.others.weight.reshape(HEADS, len(names), -1, WIDTH)
        found = {f"{name}.weight": matrix[:, i].flatten(0, 1) for i, name in enumerate(names)}
        rest = {k: v for k, v in self.state_dict().items() if not k.startswith("others")}
        return found | rest


class Layer(nn.Module):
    def __init__(self, cross: bool) -> None:
        super().__init__()
        self.attention = Attention(cross)
        self.norm, self.mlp_norm = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.input_norm = nn.LayerNorm(WIDTH, eps=1e-6) if cross else None
        self.dense1, self.dense2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, rows: Tensor, read: Tensor | None = None) -> Tensor:
        x = self.norm(rows)
        others = x if read is None or self.input_norm is None else self.input_norm(read)
        rows = rows + self.attention(x, others)
        hidden = nn.functional.gelu(self.dense1(self.mlp_norm(rows)))
        return rows + self.dense2(hidden)  # type: ignore[no-any-return]

    def named(self) -> dict[str, Tensor]:
        """Its parameters as ours are called."""
        inside = {f"attention.{k}": v for k, v in self.attention.named().items()}
        places = {"mlp_norm": "mlp.norm", "dense1": "mlp.dense1", "dense2": "mlp.dense2"}
        places["norm"] = "attention.query_norm" if self.input_norm else "attention.norm"
        places["input_norm"] = "attention.input_norm"
        for name, parameter in self.named_parameters():
            module, _, kind = name.rpartition(".")
            if module in places:
                inside[f"{places[module]}.{kind}"] = parameter
        return inside


class ShapeDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.project = nn.Linear(64, WIDTH), nn.Linear(51, WIDTH)
        self.layers = nn.ModuleList(Layer(cross=False) for _ in range(2))
        self.decoder = Layer(cross=True)
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, latents: Tensor, points: Tensor) -> Tensor:
        latents = self.linear(latents)
        for layer in self.layers:
            latents = layer(latents)
        waves = (points[..., None] * 2.0 ** torch.arange(8)).flatten(-2)
        queries = self.project(torch.cat([points, waves.sin(), waves.cos()], dim=-1))
        return self.head(self.norm(self.decoder(queries, latents)))  # type: ignore[no-any-return]

    def named(self) -> dict[str, Tensor]:
        """Its parameters as ours are called."""
        inside = {"linear": "inputs.shape.linear", "project": "queries.inside.position.project"}
        inside |= {"norm": "heads.inside.norm", "head": "heads.inside.linear"}
        found = {
            f"{ours}.{kind}": getattr(getattr(self, name), kind)
            for name, ours in inside.items()
            for kind in ("weight", "bias")
        }
        blocks = {"decoder.cross_attend": self.decoder}
        blocks |= {f"process.layers.{i}": layer for i, layer in enumerate(self.layers)}  # type: ignore[misc]
        for prefix, layer in blocks.items():
            found |= {f"{prefix}.{name}": value for name, value in layer.named().items()}
        return {name: value.detach().contiguous() for name, value in found.items()}


def decoder(seed: int) -> ShapeDecoder:
    """With random weights, those of norms included."""
    torch.manual_seed(seed)
    module = ShapeDecoder().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            scale = parameter.shape[-1] ** -0.5 if parameter.ndim == 2 else 0.3
            parameter.add_(scale * torch.randn(parameter.shape))
    return module


def compiled(level: int) -> Compiled:
    return pg.compile("hunyuan3d_decoder", overrides=SMALL["hunyuan3d_decoder"], level=level)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_points_have_the_answers_of_the_module(seed: int, level: int, tmp_path: Path) -> None:
    module, weights = decoder(seed), tmp_path / "w.safetensors"
    save_file(module.named(), weights)
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((2, LATENTS, 64), np.float32)
    points = rng.uniform(-1, 1, (2, 7, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(latents), torch.from_numpy(points)).numpy()
    model = compiled(level)
    model.save(tmp_path / "artifact", weights=weights)
    found = pg.load(tmp_path / "artifact").run({"shape": latents, "inside.points": points})
    net = model.to_torch(weights=weights)
    with torch.no_grad():
        emitted = net({"shape": torch.from_numpy(latents)}, {"inside": torch.from_numpy(points)})
    largest = np.abs(wanted).max()
    for answer in (found["inside"], emitted["inside"].numpy()):
        np.testing.assert_allclose(answer, wanted, rtol=0, atol=1e-5 * largest)


def test_the_parameters_are_those_of_the_module() -> None:
    ours = {leaf.value.name: leaf.value.shape for leaf in compiled(0).graph.parameters}
    assert {name: tuple(map(int, shape)) for name, shape in ours.items()} == {
        name: tuple(value.shape) for name, value in decoder(0).named().items()
    }
