"""Words that people write in specs and that the language does not have, with what there is instead.

The one place for them: a word is taken out here when the language learns it, and a test notices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from perceiver_graph.diagnostics.commands import command
from perceiver_graph.spec.models.layers import PARTS
from perceiver_graph.spec.models.steps import ActivationName, Step
from perceiver_graph.spec.spans import Path

Where = Literal["anywhere", "attention", "latents", "steps", "linear", "top"]

_ATTENTION = ("layers", *PARTS)
_TRAIN = command("compile", "SPEC", "--backend", "torch")


@dataclass(frozen=True)
class Absent:
    """What a word means, and what there is instead of it."""

    words: str
    what: str
    instead: str
    where: Where = "anywhere"
    yet: bool = True
    """Whether it is part of a model, and only not there so far."""


_TRAINING = (
    f"a spec says what is computed; the model.py that {_TRAIN} writes is trained like any other "
    "torch.nn.Module"
)
_OPTIONS = "it is an option, not a part of the model: "
_PLACES = (
    "attention turns by them, `rotary: true` under `layers`, or they are attached to the tokens: "
    "`position: {fourier: ...}` or `{learned: ...}`"
)

TABLE = (
    Absent(
        "alibi relative relative_position",
        "positions inside of attention",
        _PLACES,
    ),
    Absent(
        "swiglu geglu reglu glu gate",
        "a gated MLP",
        "write `gated: true`, with `activation: silu` for SwiGLU and `gelu` for GEGLU",
        yet=False,
    ),
    Absent(
        "quick_gelu gelu_10 elu selu celu leaky_relu prelu relu6 relu_squared softplus mish "
        "hardswish hard_swish squared_relu",
        "this activation",
        f"activations are {', '.join(get_args(ActivationName))}",
    ),
    Absent(
        "cache kv_cache use_cache",
        "a cache of keys and values",
        "`encode` runs once, and any number of queries is decoded from it",
    ),
    Absent(
        "window window_size sliding_window local_attention sparse",
        "attention within a window",
        "every token is attended to",
        "attention",
    ),
    Absent(
        "mixture_of_experts moe experts",
        "a choice among several MLPs",
        "every layer has one MLP",
        "attention",
    ),
    Absent(
        "stochastic_depth drop_path drop_path_rate layerdrop",
        "layers that are left out now and then in training",
        "`dropout: 0.1` leaves out numbers of what each layer adds",
        "attention",
    ),
    Absent(
        "over",
        "latents for each place of an axis",
        "write `per: {time: 8}` here, or `over` under `encode`, which reads along one axis",
        "latents",
        yet=False,
    ),
    Absent(
        "variational bottleneck vae kl",
        "a variational bottleneck",
        "write `bottleneck: {variational: 64}` between `encode` and `process`",
        "latents",
        yet=False,
    ),
    Absent(
        "flatten reshape view",
        "a step of its own",
        "after the steps, all axes but `channel` are one list of tokens",
        "steps",
        yet=False,
    ),
    Absent(
        "transpose permute rearrange channels_first",
        "an exchange of axes",
        "give the axes in the order of the array, `channel` last",
        "steps",
        yet=False,
    ),
    Absent(
        "layer_norm layernorm group_norm instance_norm rms_norm norm",
        "this norm as a step",
        "`batch_norm` is a step, and attention normalises what it reads",
        "steps",
    ),
    Absent(
        "avg_pool average_pool mean_pool avgpool avgpool2d global_average_pool",
        "average pooling",
        "`max_pool`, `conv` with a stride, or `patch` and `linear` make an array smaller",
        "steps",
    ),
    Absent(
        "upsample conv_transpose deconv interpolate convtranspose2d",
        "a step that makes an array larger",
        f"steps are {', '.join(Step.forms)}",
        "steps",
    ),
    Absent(
        "dilation dilation_rate dilated",
        "a convolution with gaps",
        "a larger `kernel`, or a `stride`, sees as far",
        "steps",
    ),
    Absent(
        "groups depthwise separable feature_group_count",
        "a convolution of each group of channels by itself",
        "every channel that comes out of `conv` is made of all that go in",
        "steps",
    ),
    Absent(
        "resize crop normalize normalise augment",
        "preparation of files",
        "`media` of the input says how files are read, cut and normalised",
        "steps",
        yet=False,
    ),
    Absent(
        "softmax log_softmax logsoftmax",
        "probabilities instead of scores",
        "heads give scores, as losses take them, and `media: {classes: {}}` shows probabilities",
        "linear",
        yet=False,
    ),
    Absent(
        "n_mels num_mel_bins mel_bins num_mels",
        "how many mel bands there are",
        "it is the size of the axis `frequency`, say `shape: {time: 256, frequency: 64, channel: 1}`",
        yet=False,
    ),
    Absent(
        "input_axis",
        "the number of axes",
        "`shape` under `inputs` names each of them",
        yet=False,
    ),
    Absent(
        "cross_attention_shape_for_attention cross_attention_shape_for_attn",
        "which width an attention takes",
        "`qk_width` is a number; left out, `encode` takes the width of the inputs, which others call `kv`",
        yet=False,
    ),
    Absent(
        "model_type architectures transformers_version",
        "what the file is that a checkpoint comes with",
        f"{command('import', 'FOLDER', '-o', 'DIR')} makes a spec of a checkpoint with its config.json",
        "top",
        yet=False,
    ),
    Absent("loss losses criterion metrics", "a loss", _TRAINING, yet=False),
    Absent(
        "optimizer optim lr learning_rate scheduler lr_scheduler weight_decay epochs "
        "batch_size max_steps warmup training train trainer gradient_clip gradient_checkpointing "
        "activation_checkpointing freeze",
        "training",
        _TRAINING,
        yet=False,
    ),
    Absent(
        "weights checkpoint pretrained init_from",
        "weights",
        f"{_OPTIONS}{command('compile', 'SPEC', '--weights', 'FILE')}",
        "top",
        yet=False,
    ),
    Absent(
        "seed", "a seed", f"{_OPTIONS}{command('compile', 'SPEC', '--seed', 'N')}", "top", yet=False
    ),
    Absent(
        "device precision dtype torch_dtype fp16 bf16 half",
        "where it runs, and how exactly",
        f"{_OPTIONS}{command('compile', 'SPEC', '--device', 'cuda', '--precision', 'fp16')}",
        yet=False,
    ),
)


def absent(word: object, path: Path) -> Absent | None:
    """The entry of a word that stands in the mapping, the list or the value at `path`."""
    here = _BY_WORD.get(_folded(word), {})
    for where, entry in here.items():
        if where == "anywhere" or where in _kinds(path):
            return entry
    return None


def _kinds(path: Path) -> set[Where]:
    """What the place is that a path leads to, in the words of `Where`."""
    words = [part for part in path if isinstance(part, str)]
    found: set[Where] = set()
    if not words:
        found.add("top")
    if words and words[0] in _ATTENTION:
        found.add("attention")
    if words == ["latents"]:
        found.add("latents")
    if len(words) > 2 and words[2] == "steps":
        found.add("steps")
    if "head" in words or "steps" in words:
        found.add("linear")
    return found


def _folded(word: object) -> str:
    return str(word).casefold().replace("-", "_")


def _index() -> Mapping[str, Mapping[Where, Absent]]:
    found: dict[str, dict[Where, Absent]] = {}
    for entry in TABLE:
        for word in entry.words.split():
            found.setdefault(word, {})[entry.where] = entry
    return found


_BY_WORD = _index()
