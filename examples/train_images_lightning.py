"""Train an image classifier with Lightning, then compile what was learnt to ONNX.

    python examples/train_images_lightning.py --steps 400 -o build/shapes

A small `imagenet_conv` learns to tell squares, bars and crosses apart, drawn on the spot. Needs
`pip install lightning`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import lightning
import torch
from losses import classification
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import perceiver_graph as pg
from perceiver_graph.spec import load_spec

SIZE = 32
NAMES = ("square", "bar", "cross")
SMALLER = [
    f"inputs.image.shape={{height: {SIZE}, width: {SIZE}, channel: 3}}",
    "inputs.image.steps.0.conv.channels=16",
    "inputs.image.position.fourier={bands: 4, max_resolution: {height: 8, width: 8}}",
    "latents={count: 16, width: 32}",
    "process={layers: 2, blocks: 2, heads: 4}",
    f"outputs.label.head.linear={len(NAMES)}",
]
"""As `--set` on the command line."""


def draw(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures float32 [count, SIZE, SIZE, 3] of bright shapes on noise, and which shapes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(NAMES), (count,), generator=generator)
    pictures = 0.3 * torch.rand(count, SIZE, SIZE, 3, generator=generator)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    centres = torch.randint(9, SIZE - 9, (count, 2), generator=generator)
    for picture, label, (row, column) in zip(pictures, labels, centres, strict=True):
        dy, dx = (y - row).abs(), (x - column).abs()
        shapes = (
            (dy < 7) & (dx < 7),
            (dy < 2) & (dx < 9),
            ((dy < 2) | (dx < 2)) & (dy < 8) & (dx < 8),
        )
        picture[shapes[int(label)]] += 0.6
    return pictures, labels


class Classifier(lightning.LightningModule):  # type: ignore[misc]
    """The emitted module with its loss and optimiser."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.history: list[float] = []

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The loss of a batch: pictures and labels."""
        pictures, labels = batch
        loss: Tensor = classification(self.model({"image": pictures})["label"], labels)
        self.history.append(loss.item())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, as for any other model."""
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def main() -> None:
    """Train, save, compile, and count what the program tells right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/shapes"))
    options = parser.parse_args()
    compiled = pg.compile(load_spec("imagenet_conv", overrides=SMALLER))
    model = compiled.to_torch(compiled.weights(seed=1)).train()
    lightning.seed_everything(1, verbose=False)
    task = Classifier(model)
    trainer = lightning.Trainer(
        max_steps=options.steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=options.output,
    )
    trainer.fit(task, DataLoader(TensorDataset(*draw(1024, seed=2)), batch_size=32, shuffle=True))
    print(f"loss {task.history[0]:.3f} -> {sum(task.history[-5:]) / 5:.3f}")

    options.output.mkdir(parents=True, exist_ok=True)
    weights = options.output / "weights.safetensors"
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, weights)
    compiled.save(options.output / "onnx", weights=weights)
    program = pg.load(options.output / "onnx")
    pictures, labels = draw(90, seed=3)
    logits = program.run({"image": pictures.numpy()})["label"]
    with torch.no_grad():
        same = model.eval()({"image": pictures})["label"].numpy()
    assert abs(logits - same).max() < 1e-3
    right = int((logits.argmax(-1) == labels.numpy()).sum())
    print(f"{right} of {len(labels)} new pictures are told right by the ONNX program")


if __name__ == "__main__":
    main()
