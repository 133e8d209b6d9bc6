"""Words of the configurations of other libraries that mean one place of a spec, and what to write there.

`elsewhere` has other names of our keys, wherever these stand. A word of a configuration stands alone, and
says its place itself: `num_cross_attention_heads` are the `heads` of `encode`, `latent_dim` is the `width` of
the latents, whatever key of ours is spelt like it. They are those of transformers, perceiver-pytorch,
perceiver-io, DeepMind's Perceiver and Flax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What words mean: what stands in which mapping."""

    words: str
    where: str
    """The mapping, or several of them that have it; NAME is a name of the user's."""
    form: str
    """What is written there; `%` is the value, `%axes` the value for each axis of the input."""
    more: str = ""
    """What else there is to know."""
    switch: tuple[str, str] | None = None
    """What `%` is for `true` and for `false`."""
    per_head: bool = False
    """Whether the value is that of one head, and ours that of all together."""
    new: str = ""
    """What is written where the mapping is not there yet (default: the form)."""

    @property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """The mappings as paths."""
        return tuple(tuple(place.split(".")) for place in self.where.split())

    @property
    def key(self) -> str | None:
        """Our key, where it is another name for one and takes the same value."""
        key, _, rest = self.form.partition(": ")
        return key if rest == "%" and not self.switch and not self.per_head else None


_TABLE = (
    # Latents.
    Meaning(
        "num_latents n_latents latent_count z_index_dim resampler_n_latents", "latents", "count: %"
    ),
    Meaning(
        "d_latents latent_dim latent_width num_latent_channels num_z_channels",
        "latents",
        "width: %",
    ),
    Meaning(
        "d_model hidden_size hidden_dim model_dim embed_dim embedding_dim n_embd dim",
        "latents",
        "width: %",
        "the width of tokens is that of their last step",
    ),
    Meaning("initializer_range z_pos_enc_init_scale latent_init_scale", "latents", "init_scale: %"),
    # How often.
    Meaning(
        "num_self_attends_per_block num_self_attention_layers_per_block num_self_attention_layers "
        "self_per_cross_attn num_layers n_layers n_layer num_hidden_layers",
        "process",
        "layers: %",
    ),
    Meaning(
        "depth resampler_depth",
        "process",
        "layers: %",
        "how often the inputs are read is `cross_attends` under `encode`",
    ),
    Meaning("num_blocks n_blocks num_self_attention_blocks", "process", "blocks: %"),
    Meaning("num_cross_attends num_cross_attention_layers", "encode", "cross_attends: %"),
    Meaning(
        "weight_tie_layers",
        "encode",
        "share: %",
        "whether blocks have the same weights is `share` under `process`",
        switch=("all_but_first", "none"),
    ),
    Meaning(
        "first_cross_attention_layer_shared", "encode", "share: %", switch=("all", "all_but_first")
    ),
    # Heads and their widths.
    Meaning(
        "num_cross_attention_heads num_cross_attend_heads cross_attention_heads cross_heads",
        "encode decode",
        "heads: %",
    ),
    Meaning(
        "num_self_attention_heads num_self_attend_heads self_attention_heads latent_heads",
        "process",
        "heads: %",
    ),
    Meaning(
        "num_heads n_heads n_head nhead num_attention_heads attention_heads resampler_n_heads",
        "encode process decode",
        "heads: %",
    ),
    Meaning("cross_dim_head", "encode decode", "qk_width: %", per_head=True),
    Meaning("latent_dim_head", "process", "qk_width: %", per_head=True),
    Meaning(
        "head_dim dim_head d_head head_size d_kv attention_head_dim resampler_head_dim",
        "process encode decode",
        "qk_width: %",
        per_head=True,
    ),
    Meaning("num_cross_attention_qk_channels", "encode decode", "qk_width: %"),
    Meaning("num_cross_attention_v_channels", "encode decode", "v_width: %"),
    Meaning("num_self_attention_qk_channels", "process", "qk_width: %"),
    Meaning("num_self_attention_v_channels", "process", "v_width: %"),
    Meaning("qk_channels qkv_features", "encode process decode", "qk_width: %"),
    Meaning("v_channels", "encode process decode", "v_width: %"),
    # Layers.
    Meaning("self_attention_widening_factor self_attend_widening_factor", "process", "widening: %"),
    Meaning(
        "cross_attention_widening_factor cross_attend_widening_factor",
        "encode decode",
        "widening: %",
    ),
    Meaning("widening_factor mlp_ratio ffn_ratio ff_mult", "layers", "widening: %"),
    Meaning("intermediate_size mlp_dim dim_feedforward ffn_dim d_ff", "layers", "hidden: %"),
    Meaning(
        "hidden_act act_fn activation_fn activation_function nonlinearity",
        "layers",
        "activation: %",
    ),
    Meaning(
        "attention_probs_dropout_prob hidden_dropout_prob hidden_dropout attention_dropout attn_dropout "
        "ff_dropout dropout_prob dropout_rate residual_dropout resid_pdrop attn_pdrop drop_rate",
        "layers",
        "dropout: %",
    ),
    Meaning(
        "layer_norm_eps layer_norm_epsilon rms_norm_eps norm_eps epsilon eps",
        "layers",
        "norm_epsilon: %",
    ),
    Meaning("num_key_value_heads num_kv_heads n_kv_heads kv_heads", "layers", "key_heads: %"),
    Meaning(
        "qk_layer_norms qk_layer_norms_perceiver use_qk_norm qk_layernorm",
        "layers",
        "qk_norm: %",
        switch=("layer_norm", "none"),
    ),
    Meaning("use_bias", "layers", "bias: %"),
    Meaning("qkv_bias attention_bias", "layers", "bias: {qkv: %}"),
    Meaning("rope_theta", "layers", "rotary: {base: %}"),
    Meaning("rotary_pct partial_rotary_factor", "layers", "rotary: {fraction: %}"),
    Meaning("use_rope", "layers", "rotary: %"),
    Meaning("use_query_residual cross_attention_residual", "encode decode", "query_residual: %"),
    Meaning("decoder_ff", "decode", "mlp: %"),
    # Inputs.
    Meaning(
        "vocab_size n_vocab num_tokens num_embeddings",
        "inputs.NAME",
        "steps: [{embedding: {vocabulary: %, width: 512}}]",
    ),
    Meaning(
        "num_freq_bands num_bands num_frequency_bands",
        "inputs.NAME.position.fourier",
        "bands: %",
    ),
    Meaning(
        "max_freq",
        "inputs.NAME.position.fourier",
        "max_resolution: %",
        new="bands: 64, max_resolution: %",
    ),
    Meaning(
        "position_embedding_init_scale pos_enc_init_scale position_init_scale",
        "inputs.NAME.position.learned",
        "init_scale: %",
    ),
    Meaning(
        "input_channels num_input_channels in_channels in_chans num_channels",
        "inputs.NAME.shape",
        "channel: %",
    ),
    Meaning("image_size img_size", "inputs.NAME.shape", "height: %, width: %"),
    Meaning("patch_size", "inputs.NAME", "steps: [{patch: %axes}]"),
    Meaning(
        "max_length max_len seq_len sequence_length max_position_embeddings "
        "max_seq_len max_seq_length max_sequence_length n_positions n_ctx "
        "context_length",
        "dims.NAME",
        "max: %",
        "a shape says the size by this name",
    ),
    # Outputs.
    Meaning(
        "num_classes num_labels n_classes num_output_channels output_num_channels logits_dim output_dim "
        "out_dim",
        "outputs.NAME",
        "head: {linear: %}",
    ),
    Meaning("num_output_queries num_query_tokens", "outputs.NAME", "query: {learned: {count: %}}"),
    Meaning(
        "queries_dim query_dim num_output_query_channels",
        "outputs.NAME",
        "query: {learned: {width: %}}",
    ),
)


def _index() -> Mapping[str, Meaning]:
    found: dict[str, Meaning] = {}
    for meaning in _TABLE:
        for word in meaning.words.split():
            if word in found:
                raise AssertionError(word)
            found[word] = meaning
    return found


MEANINGS: Mapping[str, Meaning] = _index()
"""Every such word with its meaning."""
