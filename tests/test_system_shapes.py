"""The sizes of every shipped system, and its parameters where a count is known from elsewhere.

The counts are those of the transformers models and of the closed forms of the papers' tables.
"""

from __future__ import annotations

import pytest

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.spec import load_spec
from tests.small import SMALL

PARAMETERS = {
    "kinetics": 19_858_855,
    "language": 201_108_230,
    "language_sentencepiece": 223_155_456,
    "language_plus": 425_607_430,
    "text_classification": 206_098_690,
    "imagenet_fourier": 48_440_627,
    "imagenet_learned": 62_255_848,
    "imagenet_conv": 48_646_522,
    "imagenet_large": 213_082_618,
    "imagenet_perceiver": 44_912_254,
    "optical_flow": 41_057_134,
    "audioset": 24_922_228,
    "audioset_mel": 86_568_052,
    "ip_adapter_plus": 29_918_208,
    "ip_adapter_plus_sdxl": 82_961_664,
    "openflamingo_resampler": 63_019_008,
    "idefics_resampler": 125_961_984,
    "idefics2_connector": 651_468_800,
    "aria_projector": 32_420_224,
    "xtts_conditioner": 21_014_184,
    "chatterbox_conditioner": 4_233_216,
    "lucidrains_perceiver": 45_187_140,
    "lucidrains_perceiver_io": 29_998_784,
    "hunyuan3d_decoder": 214_212_865,
    "perceiver_actor": 30_675_328,
    "tabicl_columns": 877_824,
    "perceiver_ar": 50_908_672,
    # without what makes features of a signal, and constants
    "luna": 7_100_731 - (1_984 + 18_040 + 16_576) - 193,
    "poyo": 1_254_018 + (1000 + 100) * 64,  # with its tables of neurons and recordings
    "aurora_level_encoder": 3_150_336 + 3 * 512,  # with its latents
    "aurora_level_decoder": 8_395_776 + 13 * 1024,  # with the embeddings of levels
}

ARRAYS = {
    "kinetics": ([52097, 704], [784, 512], [6288, 1026]),
    "language": ([2048, 768], [256, 1280], [2048, 768]),
    "language_sentencepiece": ([512, 768], [256, 1280], [512, 768]),
    "language_plus": ([2048, 768], [256, 1536], [2048, 768]),
    "text_classification": ([2048, 768], [256, 1280], [1, 1280]),
    "glue_multitask": ([2048, 768], [256, 1280], [8, 768]),
    "token_classification": ([2048, 768], [256, 1280], [2048, 768]),
    "question_answering": ([2048, 768], [256, 1280], [2048, 768]),
    "imagenet_fourier": ([50176, 261], [512, 1024], [1, 1024]),
    "imagenet_learned": ([50176, 512], [512, 1024], [1, 1024]),
    "imagenet_conv": ([3025, 322], [512, 1024], [1, 1024]),
    "imagenet_large": ([50176, 514], [512, 1024], [1, 1024]),
    "imagenet_perceiver": ([50176, 261], [512, 1024], [0, 0]),
    "optical_flow": ([182528, 322], [2048, 512], [182528, 322]),
    "audioset": ([13024, 487], [512, 512], [1, 1024]),
    "audioset_mel": ([17344, 487], [512, 1024], [1, 1024]),
    "starcraft": ([512, 256], [32, 512], [512, 256]),
    "modelnet40": ([4096, 387], [512, 1024], [0, 0]),
    "audio_classification": ([100, 321], [64, 512], [1, 512]),
    "object_detection": ([16384, 322], [512, 512], [100, 512]),
    "ip_adapter_plus": ([257, 768], [16, 768], [0, 0]),
    "ip_adapter_plus_sdxl": ([257, 1280], [16, 1280], [0, 0]),
    "openflamingo_resampler": ([256, 1024], [64, 1024], [0, 0]),
    "idefics_resampler": ([257, 1280], [64, 1280], [0, 0]),
    "idefics2_connector": ([4900, 4096], [64, 4096], [0, 0]),
    "aria_projector": ([4900, 1152], [256, 1152], [0, 0]),
    "xtts_conditioner": ([8192, 1024], [32, 1024], [0, 0]),
    "chatterbox_conditioner": ([1500, 1024], [32, 1024], [0, 0]),
    "lucidrains_perceiver": ([50176, 29], [256, 512], [0, 0]),
    "lucidrains_perceiver_io": ([2048, 32], [256, 512], [2048, 32]),
    "hunyuan3d_decoder": ([4096, 1024], [4096, 1024], [1, 1024]),
    "perceiver_actor": ([8077, 128], [2048, 512], [8000, 128]),
    "tabicl_columns": ([60000, 128], [128, 128], [60000, 128]),
    "perceiver_ar": ([4096, 512], [1024, 512], [0, 0]),
    "luna": ([128, 64], [4, 64], [1, 256]),
    "poyo": ([65536, 64], [128, 64], [1, 64]),
    "aurora_level_encoder": ([13, 512], [3, 512], [0, 0]),
    "aurora_level_decoder": ([3, 1024], [3, 1024], [13, 1024]),
}
"""Inputs M x C, latents N x D and queries O x E; a mean of latents, or they themselves, asks no queries."""


def inspection(name: str, *overrides: str) -> dict[str, object]:
    lowered = lower(load_spec(name, overrides=list(overrides)))
    return Inspection(lowered, lowered.graph).as_json()


def test_every_system_is_listed() -> None:
    assert ARRAYS.keys() == SMALL.keys()


@pytest.mark.parametrize("name", ARRAYS)
def test_sizes(name: str) -> None:
    found = inspection(name)
    assert (found["input_array"], found["latents"], found["query_array"]) == ARRAYS[name]
    assert found["parameters"] == PARAMETERS.get(name, found["parameters"])


def test_the_original_pads_and_pools_to_another_size() -> None:
    """224 -> 112 -> 56 with `same` padding; transformers does not pad before the pool."""
    assert inspection("imagenet_conv", "dialect=deepmind")["input_array"] == [3136, 322]


@pytest.mark.parametrize(
    ("name", "overrides", "tokens"),
    [
        ("imagenet_fourier", ["height=320", "width=256"], 320 * 256),
        ("imagenet_conv", ["height=320", "width=256"], 79 * 63),
        ("object_detection", ["height=256", "width=384"], 64 * 96),
    ],
)
def test_other_sizes_of_pictures(name: str, overrides: list[str], tokens: int) -> None:
    found = inspection(name, *(f"inputs.image.shape.{size}" for size in overrides))
    assert found["input_array"] == [tokens, found["input_array"][1]]  # type: ignore[index]
    assert found["parameters"] == inspection(name)["parameters"]


def test_learned_positions_keep_the_table_of_the_size_they_were_trained_on() -> None:
    shape = ["inputs.image.shape.height=320", "inputs.image.shape.width=320"]
    trained = "inputs.image.position.learned.trained_on={height: 224, width: 224}"
    assert inspection("imagenet_learned", *shape)["parameters"] != PARAMETERS["imagenet_learned"]
    assert inspection("imagenet_learned", *shape, trained)["parameters"] == 62_255_848
