"""What the blocks of docs/checkpoints.md are given, and what must hold after them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PerceiverForImageClassificationFourier as Theirs

from perceiver_graph.compiler.importing import download
from tests.import_support import model, save
from tests.local_hub import Repository, be_the_hub, served


def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A small model of the published name in the cache of a hub, and pictures of two kinds."""
    name = "deepmind/vision-perceiver-fourier"
    folder = save(model("ImageClassificationFourier"), Path("theirs"))
    sizes = {"size": {"height": 14, "width": 14}, "crop_size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(sizes))
    with served() as hub:
        hub.repositories[name] = Repository(folder)
        be_the_hub(hub, Path("cache").absolute(), monkeypatch)
        download(name)
    labels = torch.arange(8) % 2
    noise = torch.randn(8, 14, 14, 3, generator=torch.Generator().manual_seed(0))
    return {"labels": labels, "pictures": 0.1 * noise + (2 * labels - 1)[:, None, None, None]}


def after(names: dict[str, Any]) -> None:
    """The head has learned, the body is as it was, and transformers loads the model that was trained."""
    assert (names["scores"].argmax(-1) == names["labels"].numpy()).all()
    theirs, before = (
        Theirs.from_pretrained(folder).eval() for folder in ("exported/mine", "theirs")
    )
    found = theirs(names["pictures"].movedim(-1, 1)).logits.detach().numpy()
    np.testing.assert_allclose(found, names["scores"], rtol=0, atol=1e-3)
    state = before.state_dict()
    changed = [
        name for name, one in theirs.state_dict().items() if not torch.equal(state[name], one)
    ]
    assert changed == [f"perceiver.decoder.decoder.final_layer.{end}" for end in ("weight", "bias")]
