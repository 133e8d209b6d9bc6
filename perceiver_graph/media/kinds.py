"""What `perceiver-graph run` reads inputs from and writes outputs to: kinds of media.

The manifest of an artifact repeats these models as they are, so that a kind is declared once.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Tag

from perceiver_graph.media.boxes.model import BoxesMedia
from perceiver_graph.media.classes.model import ClassesMedia
from perceiver_graph.media.clip.model import AudioMedia, MelMedia, VideoMedia
from perceiver_graph.media.flow.model import FlowInputMedia, FlowOutputMedia
from perceiver_graph.media.image.model import ImageMedia
from perceiver_graph.media.labels.model import LabelsMedia
from perceiver_graph.media.points.model import PointsMedia
from perceiver_graph.media.scores.model import ScoresMedia
from perceiver_graph.media.span.model import SpanMedia
from perceiver_graph.media.table.model import TableMedia
from perceiver_graph.media.text.model import FillMedia, TextMedia
from perceiver_graph.spec.models.base import (
    keyed,
)

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
