"""How parameters start: a row for each kind of parameter, a column for each dialect.

Sources: `_init_weights` of transformers' PerceiverPreTrainedModel; google-deepmind/deepmind-research,
perceiver/ (perceiver.py, position_encoding.py, io_processors.py and the colabs) with the defaults of
dm-haiku (initializers.py, basic.py, conv.py, embed.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from perceiver_graph.compiler.ir.graph import Initializer

Dialect = Literal["huggingface", "deepmind"]

ParameterKind = Literal[
    "layer",
    "linear",
    "convolution",
    "final",
    "embedding",
    "vectors",
    "bias",
    "gain",
    "running_mean",
    "running_variance",
]

CUT_DEVIATION = 0.87962566103423978
"""The standard deviation of a standard normal distribution that is cut off at -2 and 2."""

NORMAL = Initializer("normal", 0.02)
CUT = Initializer("truncated_normal", 0.02)
WIDE = Initializer("truncated_normal", 1.0)
FAN_IN = Initializer("fan_in")
FAN_IN_EXACT = Initializer("fan_in", 1 / CUT_DEVIATION)
ZEROS = Initializer("zeros")
ONES = Initializer("ones")

TABLE: Mapping[ParameterKind, tuple[Initializer, Initializer]] = {
    # kind             huggingface, deepmind
    "layer": (NORMAL, FAN_IN_EXACT),
    "linear": (NORMAL, FAN_IN),
    "convolution": (NORMAL, FAN_IN),
    "final": (NORMAL, ZEROS),
    "embedding": (NORMAL, WIDE),
    "vectors": (NORMAL, CUT),
    "bias": (ZEROS, ZEROS),
    "gain": (ONES, ONES),
    "running_mean": (ZEROS, ZEROS),
    "running_variance": (ONES, ONES),
}
"""What each kind starts from.

- `layer`: the maps inside attention and its MLP. DeepMind's `conv_1d` gives them haiku's
  VarianceScaling(1): after the cut, the variance is 1 / inputs.
- `linear`, `convolution`: all other maps, as hk.Linear and hk.ConvND start by themselves: the
  deviation is 1 / sqrt(inputs) before the cut, so 0.88 of it after.
- `final`: the map to classes of a mean over the latents (ProjectionDecoder), and the one to two
  numbers for each pixel, which are optical flow (`output_w_init` in the colab). All other heads are
  `linear`.
- `embedding`: hk.Embed. transformers ties the head to it as DeepMind does.
- `vectors`: latents, position tables, learned queries, paddings and mask tokens, all of them
  TrainablePositionEncoding. `init_scale` of the spec stands for 0.02.
- `bias`, `gain`: of linear maps, LayerNorm and BatchNorm.
- `running_mean`, `running_variance`: 0 and 1, which change nothing, as in torch. haiku stores zeros
  for both and makes up for them from the first step of training on; before it, a variance of 0
  would enlarge everything 300 times.
"""


def initializer(dialect: Dialect, kind: ParameterKind, scale: float | None = None) -> Initializer:
    """How a parameter of a kind starts; `scale` stands for the scale of the table."""
    huggingface, deepmind = TABLE[kind]
    found = deepmind if dialect == "deepmind" else huggingface
    return found if scale is None else replace(found, scale=scale)
