"""Resamplers of vision-language models against the classes that transformers has of them: a part of what
`make test-family` compares, of the one library that is here anyway."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import IdeficsConfig
from transformers.models.idefics.configuration_idefics import IdeficsPerceiverConfig
from transformers.models.idefics.perceiver import IdeficsPerceiverResampler
from transformers.models.idefics2.configuration_idefics2 import Idefics2PerceiverConfig
from transformers.models.idefics2.modeling_idefics2 import Idefics2PerceiverResampler

import perceiver_graph as pg
from perceiver_graph.spec import load_spec
from tests.family.harness import TOLERANCE, Measured, Reference, compare
from tests.family.idefics import REFERENCES


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_it_is_the_class_of_transformers(reference: Reference, seed: int, tmp_path: Path) -> None:
    measured = Measured(reference.of)
    compare(reference.drawn(np.random.default_rng(seed)), tmp_path, measured)
    assert measured.drawn <= TOLERANCE
    assert measured.double <= reference.least


def test_the_published_sizes_are_the_shipped_ones() -> None:
    with torch.device("meta"):
        config = IdeficsConfig(
            perceiver_config=IdeficsPerceiverConfig(qk_layer_norms_perceiver=True),
            vision_config={"embed_dim": 1280},
        )
        published = {
            "idefics_resampler": IdeficsPerceiverResampler(config, 1280, 6, 16, 96, 64),
            "idefics2_connector": Idefics2PerceiverResampler(Idefics2PerceiverConfig()),
        }
    for name, module in published.items():
        found = pg.compile(load_spec(name)).graph.parameter_count
        assert found == sum(parameter.numel() for parameter in module.parameters())
