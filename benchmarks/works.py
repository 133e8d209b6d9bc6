"""What is measured: a system, its inputs, and what each side has to compute of it.

Everything here is plain data, so that the processes that measure can be told of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

CHUNKS = 128
"""In which the published tutorial decodes a video; transformers cannot decode all of it at once."""
MASK_ID, VOCABULARY = 3, 262


@dataclass(frozen=True)
class System:
    """One model on both sides."""

    name: str
    spec: str
    """The name of a shipped spec, or the path of another."""
    short_class: str
    """`PerceiverFor...` of transformers."""
    settings: Mapping[str, Any] | None = None
    """Of its configuration; by default those of the released checkpoint."""


@dataclass(frozen=True)
class Work:
    """What one measurement computes, from arrays in the memory of the host to arrays there."""

    name: str
    summary: str
    system: System
    inputs: Mapping[str, Sequence[int]]
    """Shapes by the names of the spec, channels last. `text` has ids, all else has float32."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Of the symbols of our graph, for its FLOPs; those left out are 1."""
    decode: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The queries [start, stop] that perceiver-graph decodes, by output; of others it decodes all."""
    points: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The queries [start, stop] that transformers is asked for; without any it decodes all."""
    queries: Mapping[str, int] = field(default_factory=dict)
    """How many queries there are of outputs of which one side decodes only some."""
    pad_to: int = 0
    """Tokens to which transformers has texts padded, with an attention mask."""
    calls: int = 1
    """Calls of transformers that do what one run of perceiver-graph does. One of them is timed."""

    @property
    def batch(self) -> int:
        """How many samples are computed together."""
        return next(iter(self.inputs.values()))[0]

    def of_batch(self, batch: int) -> Work:
        """The same of so many samples together."""
        inputs = {name: [batch, *shape[1:]] for name, shape in self.inputs.items()}
        return replace(self, inputs=inputs, sizes={**self.sizes, "batch": batch})

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes the same of."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Work:
        """The work of what `as_json` returned."""
        return cls(**{**data, "system": System(**data["system"])})


def inputs_of(work: Work) -> Arrays:
    """The same random inputs in every process, as the spec has them; batch first, channels last."""
    rng = np.random.default_rng(0)
    arrays: Arrays = {}
    for name, shape in work.inputs.items():
        if name == "text":
            ids = rng.integers(6, VOCABULARY, tuple(shape))
            if "text" in work.decode:
                ids[:, slice(*work.decode["text"])] = MASK_ID
            arrays[name] = ids
        else:
            arrays[name] = rng.standard_normal(tuple(shape), np.float32)
    return arrays


def comparable(work: Work, outputs: Mapping[str, NDArray[Any]], *, ours: bool) -> Arrays:
    """The part of one side's outputs that both sides compute, one axis of values each."""
    had, other = (work.decode, work.points) if ours else (work.points, work.decode)
    parts: Arrays = {}
    for name, array in outputs.items():
        if name in other and name not in had:
            start, stop = other[name]
            array = array.reshape(work.batch, work.queries[name], -1)[:, start:stop]
        parts[name] = array.reshape(-1)
    return parts


_KINETICS = System("kinetics", "kinetics", "MultimodalAutoencoding")
_CLIP = {"audio": [1, 30720, 1], "image": [1, 16, 224, 224, 3]}
_POSITIONS = {"audio": 1920, "image": 802_816}
_FIRST_CHUNK = {name: [0, count // CHUNKS] for name, count in _POSITIONS.items()}
_FLOW = System("optical_flow", "optical_flow", "OpticalFlow")
_LANGUAGE = System("language", "language", "MaskedLM")


def _imagenet(kind: str, short_class: str, summary: str) -> Work:
    system = System(f"imagenet_{kind}", f"imagenet_{kind}", f"ImageClassification{short_class}")
    return Work(f"imagenet-{kind}", summary, system, {"image": [1, 224, 224, 3]})


def _sentence(name: str, peers: str, pad_to: int) -> Work:
    return Work(
        name,
        f"A text of 60 bytes with 8 of them masked, which perceiver-graph decodes; transformers "
        f"{peers} and always decodes 2048 positions.",
        _LANGUAGE,
        {"text": [1, 60]},
        sizes={"length": 60, "text_queries": 8},
        decode={"text": [40, 48]},
        queries={"text": 2048},
        pad_to=pad_to,
    )


WORKS: Mapping[str, Work] = {
    work.name: work
    for work in (
        Work(
            "kinetics-chunk",
            "Encode a clip and decode one of 128 chunks of its queries. transformers encodes anew "
            "for each chunk; perceiver-graph need not, and does here.",
            _KINETICS,
            _CLIP,
            sizes={f"{name}_queries": stop for name, (_, stop) in _FIRST_CHUNK.items()},
            decode=_FIRST_CHUNK,
            points=_FIRST_CHUNK,
            queries=_POSITIONS,
        ),
        Work(
            "kinetics-video",
            "Encode a clip and decode all 804,737 queries. For transformers one chunk is timed and "
            "counted 128 times, for it can do no other.",
            _KINETICS,
            _CLIP,
            sizes={f"{name}_queries": count for name, count in _POSITIONS.items()},
            points=_FIRST_CHUNK,
            queries=_POSITIONS,
            calls=CHUNKS,
        ),
        Work(
            "optical-flow",
            "The flow of one tile of 368 x 496 pixels.",
            _FLOW,
            {"frames": [1, 2, 368, 496, 27]},
            sizes={"flow_queries": 368 * 496},
        ),
        _imagenet("learned", "Learned", "An image from pixels, with learned positions."),
        _imagenet("fourier", "Fourier", "An image from pixels, with Fourier positions."),
        _imagenet("conv", "ConvProcessing", "An image behind a convolution and a pooling."),
        Work(
            "masked-lm-2048",
            "A text of 2048 bytes, all positions decoded.",
            _LANGUAGE,
            {"text": [1, 2048]},
            sizes={"length": 2048, "text_queries": 2048},
        ),
        _sentence("masked-lm-sentence", "pads it to 2048 bytes, as its tokenizer does,", 2048),
        _sentence("masked-lm-sentence-unpadded", "is given it unpadded, its best case,", 0),
    )
}
