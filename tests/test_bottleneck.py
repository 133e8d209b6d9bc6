"""A variational bottleneck: means in a program, samples in training, moments for a loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import perceiver_graph as pg
from perceiver_graph.compiler import ops
from perceiver_graph.compiler.driver import Compiled

SPEC = """
perceiver: 1
name: autoencoder
inputs: {surface: {shape: {point: 12, channel: 3}, steps: [{linear: 8}]}}
latents: {count: 5, width: 8}
encode: {heads: 2}
bottleneck: {variational: 3, norm: layer_norm, norm_epsilon: 1.0e-6}
process: {layers: LAYERS, heads: 2}
outputs:
  latents_out: {query: latents}
  moments: {query: bottleneck}
"""
SURFACE = np.random.default_rng(0).uniform(-1, 1, (2, 12, 3)).astype(np.float32)


def autoencoder(layers: int = 0, level: int = 2) -> Compiled:
    return pg.compile(SPEC.replace("LAYERS", str(layers)), level=level)  # type: ignore[arg-type]


def weights(compiled: Compiled, folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Random ones, in a file and as arrays."""
    rng = np.random.default_rng(1)
    found = {
        leaf.value.name: rng.normal(size=[int(size) for size in leaf.value.shape]).astype(
            np.float32
        )
        for leaf in compiled.graph.parameters
    }
    save_file(found, folder / "w.safetensors")
    return folder / "w.safetensors", found


@pytest.mark.parametrize("level", [0, 2])
def test_the_mean_is_mapped_back(level: int, tmp_path: Path) -> None:
    """Against the formula: what was read is the output of the same spec without a bottleneck."""
    compiled = autoencoder(level=level)
    file, values = weights(compiled, tmp_path)
    compiled.save(tmp_path / "with", weights=file)
    found = pg.load(tmp_path / "with").run({"surface": SURFACE})

    plain = SPEC.replace("bottleneck: {v", "# {v").replace("  moments: {query: bottleneck}\n", "")
    without = pg.compile(plain.replace("LAYERS", "0"))
    kept = {name: x for name, x in values.items() if not name.startswith("bottleneck")}
    save_file(kept, tmp_path / "kept.safetensors")
    without.save(tmp_path / "without", weights=tmp_path / "kept.safetensors")
    read = pg.load(tmp_path / "without").run({"surface": SURFACE})["latents_out"]

    def at(name: str) -> np.ndarray:
        return values[f"bottleneck.{name}"]

    centred = read - read.mean(-1, keepdims=True)
    normal = centred / np.sqrt(read.var(-1, keepdims=True) + 1e-6)
    normal = normal * at("norm.weight") + at("norm.bias")
    moments = normal @ at("moments.weight").T + at("moments.bias")
    back = moments[..., :3] @ at("output.weight").T + at("output.bias")
    np.testing.assert_allclose(found["moments"], moments, atol=1e-4)
    np.testing.assert_allclose(found["latents_out"], back, atol=1e-4)


def test_training_samples_with_the_variance_and_nothing_else_does(tmp_path: Path) -> None:
    compiled = autoencoder()
    file, values = weights(compiled, tmp_path)
    module = compiled.to_torch(weights=file)
    many = torch.from_numpy(SURFACE[:1]).expand(4000, -1, -1)
    with torch.no_grad():
        torch.manual_seed(0)
        sampled = module.train()({"surface": many})
        kept = module.eval()({"surface": many})
    assert (kept["latents_out"] == kept["latents_out"][:1]).all()
    torch.testing.assert_close(sampled["moments"], kept["moments"])
    log_variance = kept["moments"][0, :, 3:].numpy()
    back = values["bottleneck.output.weight"]
    wanted = np.exp(log_variance) @ (back**2).T  # of a sum of independent numbers
    spread = sampled["latents_out"].var(0).numpy()
    np.testing.assert_allclose(spread, wanted, rtol=0.12)
    centre = (sampled["latents_out"].mean(0) - kept["latents_out"][0]).abs().numpy()
    assert (centre < 5 * np.sqrt(wanted / 4000)).all()


def test_a_loss_on_the_moments_reaches_what_was_read() -> None:
    module = autoencoder(layers=1).to_torch().train()
    mean, log_variance = module({"surface": torch.from_numpy(SURFACE)})["moments"].chunk(2, -1)
    (mean**2 + log_variance.exp() - 1 - log_variance).sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters()}
    reached = gradients["inputs.surface.linear.weight"]
    assert reached is not None
    assert reached.abs().sum() > 0
    assert gradients["bottleneck.output.weight"] is None


def test_what_is_made_of_the_latents_depends_on_few_numbers(tmp_path: Path) -> None:
    """It stands behind what is read and before the layers of `process`."""
    names = [node.name for node in autoencoder(layers=1, level=0).graph.nodes]
    place = next(i for i, name in enumerate(names) if name.startswith("bottleneck"))
    assert all(name.startswith("process") for name in names[place:] if "layers" in name)
    assert not any("layers" in name for name in names[:place])
    assert any(isinstance(n.op, ops.GaussianSample) for n in autoencoder(level=0).graph.nodes)
