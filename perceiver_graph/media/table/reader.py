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
        entry, most = self._entry, self._count.max
        fixed = not self._masked and self._count.at_least(1) == most
        table = read_table(source, self._name, most, entry.coordinates, self._masked, fixed)
        rows, columns = table.values.shape
        if columns != self._channels:
            help = "give a column for each channel"
            if rows == self._channels and self._count.at_least(columns) is not None:
                turned = f"{table.expression}.reshape({rows}, {columns}).T"
                help += f"; if its rows are the channels, `numpy.save('turned.npy', {turned})`"
            raise DiagnosticError.of(
                "PG503",
                f"{source} has {columns} columns, and `{self._name}` takes {self._channels} channels",
                help=help,
            )
        return self._filled(source, table.values, table.mask, table.notes)
