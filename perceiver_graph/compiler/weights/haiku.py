"""Names of the parameters in DeepMind's checkpoints: paths of haiku modules.

Source: the modules in google-deepmind/deepmind-research, perceiver/, and haiku's rules for names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from perceiver_graph.compiler.weights.names import Rules, renamed, same_but_for_ones

RULES: Rules = (
    # Inside a layer. A layer of self-attention has two normalisations, the others three.
    (r"(?<=\.)attention\.(?:latent_norm|query_norm|norm)\.", ("layer_norm/",)),
    (r"(?<=\.)attention\.input_norm\.", ("layer_norm_1/",)),
    (r"(?<=cross_attend\.)mlp\.norm\.", ("layer_norm_2/",)),
    (r"(?<=\.)mlp\.norm\.", ("layer_norm_1/",)),
    (r"(?<=\.)attention\.query\.", ("attention/linear/",)),
    (r"(?<=\.)attention\.key\.", ("attention/linear_1/",)),
    (r"(?<=\.)attention\.value\.", ("attention/linear_2/",)),
    (r"(?<=\.)attention\.output\.", ("attention/linear_3/",)),
    (r"(?<=\.)mlp\.dense1\.", ("mlp/linear/",)),
    (r"(?<=\.)mlp\.dense2\.", ("mlp/linear_1/",)),
    # Where the layers are.
    (r"^latents$", ("ENCODER/~/trainable_position_encoding/pos_embs",)),
    (r"^encoder\.cross_attend\.", ("ENCODER/~/cross_attention/",)),
    (r"^process\.layers\.0\.", ("ENCODER/~/self_attention/",)),
    (r"^process\.layers\.(\d+)\.", (r"ENCODER/~/self_attention_\1/",)),
    (r"^ENCODER/", ("perceiver_encoder/", "encoder/")),
    (r"^decoder\.cross_attend\.", ("DECODER/cross_attention/",)),
    (r"^decoder\.project\.", ("multimodal_decoder/~/basic_decoder/output/",)),
    # Modalities.
    (r"^inputs\.(\w+)\.padding$", (r"multimodal_preprocessor/\1_padding/pos_embs",)),
    (r"^inputs\.(\w+)\.mask$", (r"multimodal_preprocessor/\1_mask_token/pos_embs",)),
    (r"^inputs\.text\.embedding\.weight$", ("embed/embeddings",)),
    (r"^inputs\.text\.position\.table$", ("trainable_position_encoding/pos_embs",)),
    (
        r"^inputs\.\w+\.position\.table$",
        ("image_preprocessor/~_build_network_inputs/trainable_position_encoding/pos_embs",),
    ),
    (
        r"^inputs\.\w+\.position\.project\.",
        ("image_preprocessor/~_build_network_inputs/position_encoding_projector/linear/",),
    ),
    (
        r"^inputs\.\w+\.linear\.",
        ("image_preprocessor/patches_linear/", "image_preprocessor/~/conv2_d/"),
    ),
    (r"^inputs\.\w+\.conv\.", ("image_preprocessor/~/conv2_d_downsample/~/conv/",)),
    (r"^inputs\.\w+\.batch_norm\.", ("image_preprocessor/~/conv2_d_downsample/~/batchnorm/",)),
    # Queries and heads.
    (r"^queries\.(\w+)\.padding$", (r"multimodal_decoder/~decoder_query/\1_padding/pos_embs",)),
    (
        r"^queries\.\w+\.(?:position\.)?table$",
        (
            "basic_decoder/~/trainable_position_encoding/pos_embs",
            "classification_decoder/~/basic_decoder/~/trainable_position_encoding/pos_embs",
        ),
    ),
    (
        r"^DECODER/",
        (
            "basic_decoder/",
            "classification_decoder/~/basic_decoder/",
            "flow_decoder/~/basic_decoder/",
            "multimodal_decoder/~/basic_decoder/",
        ),
    ),
    (r"^heads\.audio\.linear\.", ("audio_postprocessor/linear/",)),
    (r"^heads\.image\.linear\.", ("projection_postprocessor/linear/",)),
    (r"^heads\.flow\.linear\.", ("flow_decoder/~/basic_decoder/output/",)),
    (
        r"^heads\.label\.linear\.",
        ("classification_postprocessor/linear/", "classification_decoder/~/basic_decoder/output/"),
    ),
    (r"^heads\.\w+\.bias$", ("embedding_decoder/bias",)),
    # What the parameters of a module are called.
    (r"norm(_\d)?/weight$", (r"norm\1/scale",)),
    (r"norm(_\d)?/bias$", (r"norm\1/offset",)),
    (r"norm/running_mean$", ("norm/~/mean_ema/average",)),
    (r"norm/running_var$", ("norm/~/var_ema/average",)),
    (r"(?<!embedding_decoder)/weight$", ("/w",)),
    (r"(?<!embedding_decoder)/bias$", ("/b",)),
)
"""From our name to theirs, one rule after the other; several replacements are alternatives."""

_IGNORED = re.compile(r"_ema/(?:hidden|counter)$")
"""What a moving average needs while it goes on."""


@dataclass(frozen=True)
class HaikuLayout:
    """Paths of haiku modules, with `/` before the parameter; axes are already in our order."""

    def candidates(self, name: str) -> list[str]:
        return [found for found in renamed(name, RULES) if "/" in found]

    def fits(self, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
        """Axes of size 1 may differ: batch normalisation keeps those of the image."""
        return same_but_for_ones(shape, wanted)

    def ignores(self, name: str, shape: tuple[int, ...]) -> bool:
        return bool(_IGNORED.search(name))
