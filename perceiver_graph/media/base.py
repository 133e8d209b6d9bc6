"""What the models of all kinds of media have in common."""

from __future__ import annotations

from typing import Any

from perceiver_graph.spec.models.base import (
    Model,
)

Names = list[str]


def kind_of(media: Model) -> str:
    """The key that names a kind of media: `video` of `{video: {...}}`."""
    return next(iter(type(media).model_fields))


def parameters_of(media: Model) -> Any:
    """What stands under that key."""
    return getattr(media, kind_of(media))
