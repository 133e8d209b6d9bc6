"""What a recipe says: its data, its loss, and how good its model has to be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

HERE = Path(__file__).parent

Arrays = Mapping[str, NDArray[Any]]
Run = Callable[[Arrays], Mapping[str, NDArray[np.float32]]]
"""A model, whatever computes it: outputs of a batch of inputs."""
Batch = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """How good a model is at one thing, on held-out data."""

    name: str
    value: float
    unit: str
    wanted: float
    """The least value that is good enough."""

    @property
    def holds(self) -> bool:
        """Whether it is good enough."""
        return self.value >= self.wanted


class Recipe(ABC):
    """A model that learns: its folder has the spec, the card and, once it is trained, the weights.

    A new recipe is a module `recipes/NAME/recipe.py` with a subclass called `Recipe`.
    """

    steps: ClassVar[int]
    batch: ClassVar[int]
    rate: ClassVar[float]
    """The largest learning rate; it rises to it and falls to nothing."""
    seed: ClassVar[int] = 1
    weight_decay: ClassVar[float] = 0.05

    def __init__(self, data: Path) -> None:
        self.data = data / self.name
        """Where its data is kept."""

    @property
    def name(self) -> str:
        """That of its folder."""
        return type(self).__module__.split(".")[-2]

    @property
    def spec(self) -> Path:
        """The model."""
        return HERE / self.name / "spec.yaml"

    @property
    def weights(self) -> Path:
        """What it learnt."""
        return HERE / self.name / "weights.safetensors"

    @abstractmethod
    def prepare(self) -> None:
        """Fetch or render the data, unless it is there."""

    @abstractmethod
    def examples(self) -> Dataset[Batch]:
        """What it is trained on: mappings of arrays, which become batches."""

    @abstractmethod
    def loss(self, model: Callable[..., Mapping[str, Tensor]], batch: Batch) -> Tensor:
        """How wrong the module is on a batch of examples."""

    def start(self, model: nn.Module) -> nn.Module:
        """What training starts from, given the module with its initial values. By default these."""
        return model

    @abstractmethod
    def measure(self, run: Run) -> list[Figure]:
        """How good a model is on data that it was not trained on."""

    def show(self, run: Run, pictures: Path) -> str:
        """Markdown for docs/gallery.md with what a model makes of held-out data; pictures that it shows
        are written into a folder. By default nothing."""
        return ""
