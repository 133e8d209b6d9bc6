"""Rows of numbers, as the spec describes them, and what they fit."""

from __future__ import annotations

from perceiver_graph.media.base import InputMedia
from perceiver_graph.media.fit import no_ids, one_length, rank, rows
from perceiver_graph.spec.models.base import Model


class TableParameters(Model):
    """Rows of numbers."""


class TableMedia(InputMedia):
    """The rows of a .csv, .npy or .npz file, one for each element; shorter tables are masked."""

    table: TableParameters
    """Nothing to choose: `{}`."""

    input_checks = (no_ids, rank(2, "give it one axis of rows, and `channel`"), one_length, rows)
    reader = "perceiver_graph.media.table.reader:TableReader"
    example = "TABLE.npz"
