"""Training with Lightning: checkpoints, progress, and going on after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader

import perceiver_graph as pg
from recipes.base import Batch, Recipe


class Task(lightning.LightningModule):  # type: ignore[misc]
    """The emitted module with the recipe's loss, AdamW and a cosine schedule."""

    def __init__(self, recipe: Recipe, model: torch.nn.Module) -> None:
        super().__init__()
        self.recipe, self.model = recipe, model

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of a batch."""
        loss = self.recipe.loss(self.model, batch)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW; matrices decay, biases and norms do not."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        recipe = self.recipe
        optimizer = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.rate, total_steps=recipe.steps, pct_start=0.1
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def train(recipe: Recipe, build: Path) -> Path:
    """Train the model of a recipe from its seed; returns the file of its weights.

    An interrupted training goes on from its last checkpoint in `build`.
    """
    recipe.prepare()
    lightning.seed_everything(recipe.seed, verbose=False)
    compiled = pg.compile(recipe.spec)
    model = recipe.start(compiled.to_torch(seed=recipe.seed))
    task = Task(recipe, model.train())
    trainer = lightning.Trainer(
        max_steps=recipe.steps,
        accelerator="auto",
        devices=1,
        logger=False,
        gradient_clip_val=1.0,
        enable_model_summary=False,
        callbacks=[
            ModelCheckpoint(build, every_n_train_steps=100, save_top_k=0, save_last=True),
            TQDMProgressBar(refresh_rate=20),
        ],
    )
    batches = DataLoader(recipe.examples(), batch_size=recipe.batch, shuffle=True, drop_last=True)
    last = build / "last.ckpt"
    trainer.fit(task, batches, ckpt_path=last if last.exists() else None, weights_only=False)
    state = {name: tensor.cpu().contiguous() for name, tensor in task.model.state_dict().items()}
    part = recipe.weights.with_suffix(".part")
    save_file(state, part, metadata={"recipe": recipe.name, "seed": str(recipe.seed)})
    part.replace(recipe.weights)
    last.unlink(missing_ok=True)
    return recipe.weights
