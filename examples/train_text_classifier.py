"""Train a text classifier with transformers' Trainer, then compile what was learnt to ONNX.

    python examples/train_text_classifier.py --steps 60 -o build/mood

A small `text_classification` learns to tell glad sentences from sad ones, made on the spot; the
last lines run the ONNX program on two of them. Needs `pip install transformers accelerate`.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from losses import classification
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

import perceiver_graph as pg
from perceiver_graph.media.text.tokens import encode
from perceiver_graph.spec import load_spec

SMALLER = [
    "dims.length.max=64",
    "inputs.text.steps.0.embedding.width=64",
    "latents={count: 16, width: 64}",
    "encode={heads: 4, qk_width: 64, v_width: 64}",
    "process={layers: 2, heads: 4}",
]
"""As `--set` on the command line: a model that learns in a minute on a laptop."""

WORDS = {
    0: ["sad", "gloomy", "awful", "bitter", "lost"],
    1: ["glad", "sunny", "lovely", "sweet", "won"],
}
LENGTH = 64


def sentence(mood: int, rng: random.Random) -> str:
    """A sentence of a mood: 0 sad, 1 glad."""
    subject = rng.choice(["The day", "My team", "This song", "Her letter", "The soup"])
    return f"{subject} was {rng.choice(WORDS[mood])} and {rng.choice(WORDS[mood])}."


def example(text: str, label: int) -> dict[str, Any]:
    """Padded ids, which of them are there, and the label."""
    ids = list(encode(text).ids)
    padding = [0] * (LENGTH - len(ids))
    mask = [True] * len(ids) + [False] * len(padding)
    return {"text": ids + padding, "mask": mask, "labels": label}


class Classifier(nn.Module):
    """What Trainer expects: a forward that returns the loss."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, text: Tensor, mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Shapes: text int64 [batch, length], mask bool [batch, length], labels int64 [batch]."""
        logits = self.model({"text": text, "text.attention_mask": mask})["label"]
        return {"loss": classification(logits, labels), "logits": logits}


def train(model: nn.Module, steps: int, folder: Path) -> list[float]:
    """The loss every ten steps."""
    rng = random.Random(1)
    data = [example(sentence(i % 2, rng), i % 2) for i in range(512)]
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        max_steps=steps,
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        logging_steps=10,
        save_strategy="no",
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        seed=1,
    )
    trainer = Trainer(model=Classifier(model), args=arguments, train_dataset=data)
    trainer.train()
    return [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]


def main() -> None:
    """Train, save, compile, and run the program on two sentences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/mood"))
    options = parser.parse_args()
    compiled = pg.compile(load_spec("text_classification", overrides=SMALLER))
    model = compiled.to_torch(compiled.weights(seed=1))
    options.output.mkdir(parents=True, exist_ok=True)
    losses = train(model, options.steps, options.output)
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")

    weights = options.output / "weights.safetensors"
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, weights)
    compiled.save(options.output / "onnx", weights=weights)
    program = pg.load(options.output / "onnx")
    for text in ("The soup was lovely and sweet.", "The day was gloomy and bitter."):
        ids = np.array([encode(text).ids])
        logits = program.run({"text": ids})["label"]
        with torch.no_grad():
            same = model.eval()({"text": torch.from_numpy(ids)})["label"].numpy()
        assert abs(logits - same).max() < 1e-4
        print(f"{text} {'glad' if logits.argmax() else 'sad'}")


if __name__ == "__main__":
    main()
