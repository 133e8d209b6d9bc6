"""What something is at a glance: the `repr` of what people hold in Python, and its form in notebooks.

Both fit a screen, however large the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.text import cut

_WIDTH, _ROWS = 79, 16

Row = tuple[str, str]


@dataclass(frozen=True)
class Glance:
    """A heading and rows of a name and what there is to say of it."""

    heading: str
    rows: tuple[Row, ...] = ()

    def text(self) -> str:
        """Lines of at most 79 columns, as `repr` returns them: `<Compiled kinetics: ...>`."""
        rows = [(escape.line(name), escape.line(what)) for name, what in self._shown()]
        width = min(max((len(name) for name, _ in rows), default=0), _WIDTH // 2)
        lines = [f"  {cut(name, width).ljust(width)}  {what}" for name, what in rows]
        first = cut(f"<{escape.line(self.heading)}", _WIDTH - 1)
        return "\n".join([first, *(cut(line.rstrip(), _WIDTH - 1) for line in lines)]) + ">"

    def html(self) -> str:
        """A heading and a table."""
        rows = "".join(
            f'<tr><td style="text-align:left"><code>{escape.html(cut(name, _WIDTH))}</code></td>'
            f'<td style="text-align:left">{escape.html(cut(what, _WIDTH))}</td></tr>'
            for name, what in self._shown()
        )
        table = f"<table>{rows}</table>" if rows else ""
        return f"<div><b>{escape.html(cut(self.heading, _WIDTH))}</b>{table}</div>"

    def _shown(self) -> Sequence[Row]:
        if len(self.rows) <= _ROWS:
            return self.rows
        half = _ROWS // 2
        left_out = ("...", f"{len(self.rows) - 2 * half} more")
        return (*self.rows[:half], left_out, *self.rows[-half:])


class Glanced:
    """Gives a class the `repr` and the notebook form of its `_glance`."""

    def _glance(self) -> Glance:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._glance().text()

    def __str__(self) -> str:
        return self._glance().text()

    def _repr_html_(self) -> str:
        return self._glance().html()
