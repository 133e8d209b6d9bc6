"""What may have been meant by a key that is not known at its place: a key of another place, found in
the models, or another library's word for one of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from pydantic import BaseModel

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import joined, nearest, slips_of
from perceiver_graph.spec.configurations import MEANINGS
from perceiver_graph.spec.grammar import Schema, schema_at
from perceiver_graph.spec.models.base import STALE
from perceiver_graph.spec.spans import Path

_MOST = 3  # places that are named

_WORDS = """
count: number num n size num_queries
width: dim embed_dim embedding_dim hidden_size d_model hidden_dim channels
blocks: repeat repeats
share: weight_tie tie weight_sharing shared share_weights share_layers shared_weights tie_weights
widening: expansion mlp_widening
induced: isab induced_attention inducing_points
hidden: mlp_dim intermediate_size dim_feedforward ffn_dim mlp_width
norm: normalization norm_type norm_layer layernorm
norm_at: pre_norm post_norm norm_first prenorm
bottleneck: vae kl kl_reg quant
variational: latent_dim embed_dim z_channels
rms_norm: rms rmsnorm
layer_norm: layernorm ln true
keys: kv keys_values
rotary: rope rotary_embedding rotary_emb rotary_pos_emb rotary_position_embedding
fraction: share rope_fraction partial_rotary_factor rotary_pct
hidden_norm: ffn_norm sub_norm subln sub_ln ffn_layernorm
causal: is_causal causal_mask autoregressive
of: from axes axis dims
chosen: sampled fps subset indices index ids farthest_points num_samples
over: along
qkv: q k v query key value in_proj
dropout: proj_drop attn_drop
bias: use_bias
media: type kind modality file
norm_epsilon: eps epsilon layer_norm_eps norm_eps layer_norm_epsilon
epsilon: eps
activation: act act_fn hidden_act activation_fn activation_function nonlinearity
qk_width: qk_dim
v_width: v_dim
query_residual: residual
cross_attends: cross_attentions
bands: num_bands num_freq_bands num_frequency_bands frequencies freqs num_freqs num_frequencies
max_resolution: max_freq max_frequency resolution
spacing: logspace log_space log_sampling
pi: include_pi
wavelengths: wavelength periods t_min t_max
base: theta rope_theta freq_base temperature
include_position: concat_pos include_input
learned: trainable embedding table learnable
fourier: sinusoidal sine sincos sin_cos fourier_features sinusoid
width: out_channels
channels: out_channels filters out_features units features width
kernel: kernel_size window size
window: kernel kernel_size pool_size size
stride: strides step steps
vocabulary: vocab_size vocab num_embeddings input_dim
patch: patch_embed patchify patches space_to_depth patch_embedding patch_size patchembed
linear: dense fc proj projection linear_projection classifier num_classes n_classes classes
conv: conv1d conv2d conv3d convolution
max_pool: maxpool maxpool1d maxpool2d maxpool3d pool pooling
batch_norm: batchnorm batchnorm1d batchnorm2d bn
embedding: embed token_embedding embeddings
one_hot: onehot to_categorical
activation: relu gelu silu sigmoid tanh
silu: swish
encode: encoder cross_attention attention
process: processor self_attention latent_transformer transformer backbone attention
decode: decoder attention
inputs: input modalities modality
outputs: output targets tasks
join: fusion concat fuse
steps: preprocess preprocessor preprocessing transforms stem layers
position: positions pos_encoding position_encoding positional_encoding positional_embedding
position: pos_emb pe pos_enc pos_encodings positional positional_embeddings
position: pos_embed position_encoding_type position_embedding_type position_embedding position_embeddings
query: queries
vector: context condition conditioning cond session
head: postprocess postprocessor classifier
shape: size input_shape input_size dimensions
mel: spectrogram mel_spectrogram log_mel melspectrogram fbank
summary: description desc doc
perceiver: version format
dims: symbols axes variables dynamic_axes
grid: dense spatial pixels
inputs: input
mean: mean_pool average
latents: latent all
mlp: ffn
rate: fps frame_rate framerate sample_rate sampling_rate frequency hz sr
window: n_fft win_length window_length window_size frame_length
hop: hop_length hop_size frame_step
top: top_k topk k
names: labels class_names classes id2label
crop: crop_size center_crop
max: maximum
min: minimum
mask: mask_token
before: pre prenorm pre_norm pre_ln preln norm_first true
after: post postnorm post_norm post_ln postln false
add: sum plus added addition
concat: concatenate concatenation cat stack concatenated
octaves: log logarithmic exponential geometric power pow2 powers_of_two
linear: lin linspace uniform
all: true yes shared
never: false no off required mandatory
optional: may maybe nullable missing
none: false no off null identity
same: half pad zeros same_padding true
valid: none no zero no_padding false
gelu: gelu_erf gelu_exact gelu_python
gelu_tanh: gelu_new gelu_fast gelu_pytorch_tanh gelu_approx tanh_gelu
bilinear: linear triangle
bicubic: cubic
lanczos: antialias lanczos3
nearest: nearest_exact nearest_neighbor nearest_neighbour
huggingface: hf transformers pytorch torch
deepmind: haiku jax dm google tf tensorflow
bytes: byte utf_8 utf8
attention_mask: padding_mask key_padding_mask
table: csv tsv sheet spreadsheet dataframe parquet npy array tabular
audio: wav mp3 flac waveform mic microphone speech voice sound
image: png jpg jpeg picture photo camera cam rgb webcam thermal pixels
video: mp4 avi mov movie
text: txt string sentence bytes prompt
points: ply point_cloud pointcloud pcd lidar laser radar
"""
"""Our word (a key, or a value), and what other libraries and papers call it."""

_AXES = (
    frozenset({"height", "h", "y", "row", "rows"}),
    frozenset({"width", "w", "x", "col", "cols", "column", "columns"}),
    frozenset({"time", "t", "frame", "frames"}),
    frozenset({"depth", "d", "z"}),
    frozenset({"frequency", "freq", "f", "mel", "mels"}),
)
"""Names of one axis."""


def synonyms(word: object, known: Iterable[str]) -> tuple[str, ...]:
    """Those of the known keys that other libraries call `word`."""
    ours = _ours().get(folded(word), ())
    return tuple(key for key in known if key in ours)


def meant(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """What of the known keys was meant: our words for it, else those of which it is one slip away, else
    one that is spelt nearly so, unless it is another library's word for something else."""
    known = tuple(known)
    same = word if word in known else word.lower()
    found = (same,) if same in known else synonyms(word, known) or slips_of(word, known)
    theirs = folded(word) in MEANINGS or folded(word) in _ours()
    guess = None if found or theirs else nearest(word, known)
    return (guess,) if guess else found


def axis_meant(name: str, axes: Iterable[str]) -> str | None:
    """That of the axes which others call so: `height` for `h` or `rows`."""
    called = next((names for names in _AXES if name in names), frozenset())
    return next((axis for axis in axes if axis in called), None)


def of_each_axis(key: str, given: Iterable[str], axes: Sequence[str]) -> str | None:
    """For `patch: {size: 4}`, a number under a name that is no axis: the same of each of them."""
    number = next(iter(given.values())) if isinstance(given, Mapping) and len(given) == 1 else None
    if type(number) not in (int, float) or not axes:
        return None
    return f"write `{key}: {{{', '.join(f'{axis}: {number}' for axis in axes)}}}`"


def places_of(model: type[BaseModel], key: str, here: Path = ()) -> str | None:
    """Where a key belongs, in words: "`heads` belongs in `encode`, `process` or `decode`".

    Places within the mapping `here` are named alone, and none if another form of it has the key.
    """
    found = places_in(model, key, here)
    if not found:
        return None
    shown = [quote(place) if place else "the spec itself" for place in found]
    return f"{quote(key)} belongs in {joined(shown)}"


def places_in(model: type[BaseModel], key: str, here: Path = ()) -> tuple[str, ...]:
    """Some of the mappings that know a key, `NAME` standing for a name of the user's."""
    found = _places(model).get(key, ())
    words = [part for part in here if isinstance(part, str)]
    if len(words) > 1 and words[0] in ("inputs", "outputs"):
        words[1] = "NAME"
    around = ".".join(words)
    if around and around in found:
        return ()
    found = tuple(place for place in found if place.startswith(f"{around}.")) or found
    return found[:_MOST]


def renamed(model: type[BaseModel], key: str, here: Path = ()) -> str | None:
    """For what others call one of our keys: what it is called here, and where that belongs.

    A word for several of them is for one of the part of the spec in which it stands.
    """
    ours = _ours().get(folded(key), ())
    if here and len(ours) > 1:
        found = _places(model)
        ours = tuple(o for o in ours if any(p.split(".")[0] == here[0] for p in found.get(o, ())))
    places = (places_of(model, one) for one in ours)
    return next((f"it has another name here: {place}" for place in places if place), None)


def folded(word: object) -> str:
    """A word as the tables have it."""
    return str(word).casefold().replace("-", "_")


@cache
def _ours() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in _WORDS.strip().splitlines():
        ours, _, theirs = line.partition(": ")
        for word in theirs.split():
            found[word] = (*found.get(word, ()), ours)
    return found


@cache
def _places(model: type[BaseModel]) -> dict[str, tuple[str, ...]]:
    """The mappings that know a key, by key; `NAME` stands for a name of the user's."""
    found: dict[str, dict[str, None]] = {}
    root = schema_at(model, ())
    if root is not None:
        _walk(root, "", found)
    shortest = {key: sorted(places, key=lambda p: p.count(".")) for key, places in found.items()}
    return {key: tuple(places) for key, places in shortest.items()}


STALE.append(_places.cache_clear)


def _walk(
    schema: Schema, place: str, found: dict[str, dict[str, None]], around: tuple[int, ...] = ()
) -> None:
    if id(schema.node) in around:  # a form that has others of its family inside
        return
    for key in schema.keys:
        found.setdefault(key, {})[place] = None
    inner = [
        (child, f"{place}.{key}".lstrip(".")) for key in schema.keys if (child := schema.child(key))
    ]
    if schema.kind == "dict" and (values := schema.child("NAME")):
        inner.append((values, f"{place}.NAME"))
    elif schema.kind == "list" and (items := schema.child(0)):
        inner.append((items, place))
    elif schema.kind == "tagged-union":
        inner += [(one, place) for tag in schema.tags if (one := schema.child(tag))]
    for child, where in inner:
        _walk(child, where, found, (*around, id(schema.node)))
