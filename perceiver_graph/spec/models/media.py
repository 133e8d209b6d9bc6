"""What `perceiver-graph run` reads inputs from and writes outputs to: kinds of media.

The manifest of an artifact repeats these models as they are, so that a kind is declared once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, Tag

from perceiver_graph.spec.models.base import (
    Count,
    Model,
    Name,
    NonNegative,
    Number,
    PositiveNumber,
    counted,
    keyed,
)

_COLOURS = counted(3, "a number for red, green and blue each, say `[0.5, 0.5, 0.5]`")
Channels = Annotated[list[Number], Field(min_length=3, max_length=3), _COLOURS]
Spread = Annotated[list[PositiveNumber], Field(min_length=3, max_length=3), _COLOURS]
Share = Annotated[float, Field(gt=0, le=1)]
Names = list[str]

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]

Resampling = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
RESAMPLING: dict[Resampling, int] = {name: n for n, name in enumerate(get_args(Resampling))}
"""The filters by the numbers that Pillow, and configurations, have for them."""


class VideoParameters(Model):
    """Frames of a video file."""

    rate: Annotated[float, Field(ge=1e-4, le=1e4)] = 25.0
    """Frames per second: at least one in three hours, as slow films have, at most 10 000."""


class VideoMedia(Model):
    """Frames of a video file, cropped to a centred square, resized, scaled to [0, 1]."""

    video: VideoParameters
    """The frame rate; `{}` takes the default."""


class AudioParameters(Model):
    """The sound of a file."""

    rate: Count = 48000
    """Samples per second."""


class AudioMedia(Model):
    """The sound of a file, mixed to one channel, in [-1, 1]."""

    audio: AudioParameters
    """The sample rate; `{}` takes the default."""


class MelParameters(Model):
    """The sound of a file as a mel spectrogram, the logarithm of the power in bands of pitch."""

    rate: Count = 16000
    """Samples per second."""
    window: Count = 400
    """Samples that a moment is made of."""
    hop: Count = 160
    """Samples from one moment to the next."""


class MelMedia(Model):
    """The sound of a file, mixed to one channel, in the axes time, frequency, channel (1)."""

    mel: MelParameters
    """Rate, window and hop; `{}` takes the defaults."""


class ImageParameters(Model):
    """A picture: a centred part of it is cut out, resized and normalised."""

    crop: Share = 0.875
    """Which share of the largest centred part with the model's aspect ratio is cut out."""
    stretch: bool = False
    """Whether the whole picture is stretched to the model's size instead of being cut."""
    resample: Resampling = "bicubic"
    """The filter for resizing."""
    mean: Channels = IMAGENET_MEAN
    """Subtracted from red, green and blue, which are in [0, 1]."""
    std: Spread = IMAGENET_STD
    """What they are then divided by."""


class ImageMedia(Model):
    """A picture from a file, in the axes height, width, channel."""

    image: ImageParameters
    """How it is cut out and normalised; `{}` does as the published Perceivers do."""


class TextParameters(Model):
    """A text as ids."""

    tokenizer: Literal["bytes"] = "bytes"
    """How text becomes ids. `bytes`: UTF-8 bytes plus 6, between [CLS] (4) and [SEP] (5)."""
    pair: bool = False
    """Whether two texts given one after the other are one input, [CLS] first [SEP] second [SEP]."""


class TextMedia(Model):
    """A text given on the command line or in a .txt file."""

    text: TextParameters
    """The tokenizer; `{}` takes bytes."""


class FlowInputParameters(Model):
    """Two frames of a video, cut into overlapping tiles of the model's size."""

    overlap: NonNegative = 20
    """By how many pixels neighbouring tiles overlap at the least."""


class FlowInputMedia(Model):
    """Two pictures, one after the other in time, as 3 x 3 patches around each pixel."""

    flow: FlowInputParameters
    """How the frames are cut into tiles; `{}` takes the default."""


class PointsParameters(Model):
    """A cloud of points."""

    centre: bool = True
    """Whether the points are moved and scaled into [-1, 1], with their mean at 0."""


class PointsMedia(Model):
    """The points of a .ply, .off, .pcd, .npy, .npz or text file (.xyz, .csv, .pts), in the axes point,
    channel."""

    points: PointsParameters
    """How they are scaled; `{}` takes the default."""


class TableParameters(Model):
    """Rows of numbers."""


class TableMedia(Model):
    """The rows of a .csv, .npy or .npz file, one for each element; shorter tables are masked."""

    table: TableParameters
    """Nothing to choose: `{}`."""


InputMedia = Annotated[
    Annotated[VideoMedia, Tag("<video>")]
    | Annotated[AudioMedia, Tag("<audio>")]
    | Annotated[MelMedia, Tag("<mel>")]
    | Annotated[ImageMedia, Tag("<image>")]
    | Annotated[TextMedia, Tag("<text>")]
    | Annotated[FlowInputMedia, Tag("<flow>")]
    | Annotated[PointsMedia, Tag("<points>")]
    | Annotated[TableMedia, Tag("<table>")],
    keyed("a kind of media", ("video", "audio", "mel", "image", "text", "flow", "points", "table")),
]


class ClassesParameters(Model):
    """Scores over classes."""

    top: Count = 5
    """How many of the best are written."""
    names: Names | None = None
    """What the classes are called, in order."""
    multi_label: bool = False
    """Whether each class is there or not by itself (sigmoid), instead of one among all (softmax)."""


class ClassesMedia(Model):
    """Class scores; the best are written as JSON."""

    classes: ClassesParameters
    """How many, and their names; `{}` takes the defaults."""


class FillParameters(Model):
    """Scores over a vocabulary, for each token."""

    top: Count = 5
    """How many candidates are written for each masked token."""


class FillMedia(Model):
    """The text with its masked bytes filled in; candidates for each are written as JSON."""

    text: FillParameters
    """How many candidates; `{}` takes the default."""


class FlowOutputParameters(Model):
    """Where each pixel of the first frame has gone in the second."""

    scale: PositiveNumber = 20.0
    """Pixels that a value of 1 stands for."""


class FlowOutputMedia(Model):
    """Optical flow, written as a .flo file and as a picture whose colour is the direction."""

    flow: FlowOutputParameters
    """The scale; `{}` takes the default."""


class LabelsParameters(Model):
    """A class for each token of a text."""

    names: Names | None = None
    """What the classes are called, in order. The first, or one called O, marks no entity; B- and I-
    in front of a name mark the beginning and the inside of one."""


class LabelsMedia(Model):
    """Labelled stretches of a text, written as JSON."""

    labels: LabelsParameters
    """The names; `{}` numbers the classes."""


class SpanParameters(Model):
    """A start and an end score for each token of a text."""

    top: Count = 3
    """How many of the best answers are written."""
    longest: Count = 200
    """The most tokens that an answer has."""


class SpanMedia(Model):
    """Answers as stretches of the second of two texts (or of the only one), written as JSON."""

    span: SpanParameters
    """How many and how long; `{}` takes the defaults."""


class BoxesParameters(Model):
    """Boxes around what is in a picture: centre x, centre y, width and height in [0, 1]."""

    classes: Name
    """The output with the class scores of each box; its last class means that there is nothing."""
    names: Names | None = None
    """What the classes are called, in order."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The lowest probability of a box that is written."""


class BoxesMedia(Model):
    """Boxes, written as JSON and drawn on the picture."""

    boxes: BoxesParameters
    """The output with their classes, and the threshold."""


class ScoresParameters(Model):
    """Numbers that are written as they are."""

    names: Names | None = None
    """What they are called, in order."""


class ScoresMedia(Model):
    """Numbers (a similarity, a price), written as JSON."""

    scores: ScoresParameters
    """Their names; `{}` leaves them out."""


OutputMedia = Annotated[
    Annotated[VideoMedia, Tag("<video>")]
    | Annotated[AudioMedia, Tag("<audio>")]
    | Annotated[ClassesMedia, Tag("<classes>")]
    | Annotated[FillMedia, Tag("<text>")]
    | Annotated[FlowOutputMedia, Tag("<flow>")]
    | Annotated[LabelsMedia, Tag("<labels>")]
    | Annotated[SpanMedia, Tag("<span>")]
    | Annotated[BoxesMedia, Tag("<boxes>")]
    | Annotated[ScoresMedia, Tag("<scores>")],
    keyed(
        "a kind of media",
        ("video", "audio", "classes", "text", "flow", "labels", "span", "boxes", "scores"),
    ),
]


CLIP = frozenset({"video", "audio", "mel"})
"""The kinds of inputs that are read from a clip, which has one picture and one sound."""


def kind_of(media: Model) -> str:
    """The key that names a kind of media: `video` of `{video: {...}}`."""
    return next(iter(type(media).model_fields))


def parameters_of(media: Model) -> Any:
    """What stands under that key."""
    return getattr(media, kind_of(media))
