"""Rows of numbers, as the spec describes them."""

from __future__ import annotations

from perceiver_graph.spec.models.base import (
    Model,
)


class TableParameters(Model):
    """Rows of numbers."""


class TableMedia(Model):
    """The rows of a .csv, .npy or .npz file, one for each element; shorter tables are masked."""

    table: TableParameters
    """Nothing to choose: `{}`."""
