"""Tables in."""

from __future__ import annotations

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.io import Piece
from perceiver_graph.media.rows import RowsReader
from perceiver_graph.media.table.rows import read_table
from perceiver_graph.runtime.opening import Source


class TableReader(RowsReader):
    """Reads a table with a row for each element."""

    noun = "a table (.npz, .npy or .csv)"

    def _piece(self, source: Source) -> Piece:
        table = read_table(source, self._name, self._count.max)
        if table.values.shape[1] != self._channels:
            raise DiagnosticError.of(
                "PG503",
                f"{source} has {table.values.shape[1]} columns, and `{self._name}` takes "
                f"{self._channels} channels",
                help="give a column for each channel",
            )
        return self._filled(source, table.values, table.mask, table.notes)
