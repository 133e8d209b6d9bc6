"""What was classified, beside bars of its best labels, as one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from perceiver_graph.media.classes.model import ClassesMedia
from perceiver_graph.media.classes.subjects import Heard, Pictured, Seen, Subject
from perceiver_graph.media.clip.reader import ClipReader
from perceiver_graph.media.drawing import GAP, MARGIN, Bars, Heading, blank_sheet
from perceiver_graph.media.files.packages import require
from perceiver_graph.media.image.reader import ImageReader
from perceiver_graph.media.io import Answer, Piece, Setting, Writer
from perceiver_graph.storage import staged_file

if TYPE_CHECKING:
    from PIL.Image import Image

_BARS = 460
"""Pixels across, names and percents included."""
SUFFIX = ".png"


def label_sheets(others: Sequence[Writer], setting: Setting) -> list[Writer]:
    """The writer of a sheet, for a model that classifies what can be drawn, and where no other draws it."""
    outputs = setting.manifest.outputs
    classifies = any(
        isinstance(entry.media, ClassesMedia) and name in setting.whole
        for name, entry in outputs.items()
    )
    drawn = any(suffix.endswith(SUFFIX) for one in others for suffix in one.suffixes)
    seen = any(isinstance(reader, ImageReader | ClipReader) for reader in setting.readers)
    return [LabelSheet()] if classifies and seen and not drawn else []


class LabelSheet(Writer):
    """Draws the picture, the film or the sound, and what was said of it."""

    suffixes = (SUFFIX,)
    shows_others = True

    def __init__(self) -> None:
        super().__init__("", None)
        self.outputs = ()
        self._subjects: list[Subject] = [Pictured(), Seen(), Heard()]

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Keep what is shown of a piece."""
        for subject in self._subjects:
            subject.add(piece)
        return {}

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """Draw the sheet, unless nothing that can be seen went in."""
        require("PIL")
        panels = [one.panel() for one in self._subjects if not one.is_empty]
        if panels:
            drawn = labelled(panels, self.title, said)
            with staged_file(self.path(SUFFIX)) as temporary:
                drawn.save(temporary, format="PNG")
        return {}


def labelled(panels: Sequence[Image], title: str, said: Mapping[str, Answer]) -> Image:
    """Panels, one below the other, and at their right the bars of what was said; what has no bars is
    said below the title."""
    lines = [f"{name}: {one.line}" for name, one in said.items() if one.line and not one.bars]
    bars = Bars({name: one.bars for name, one in said.items() if one.bars}, _BARS)
    across = max(panel.width for panel in panels)
    width = 2 * MARGIN + across + 3 * GAP + _BARS
    heading = Heading.of(title, lines, width - 2 * MARGIN)
    down = sum(panel.height for panel in panels) + GAP * (len(panels) - 1)
    top = MARGIN + heading.height + GAP
    paper, pen = blank_sheet(width, top + max(down, bars.height) + MARGIN)
    heading.draw(pen)
    y = top
    for panel in panels:
        paper.paste(panel, (MARGIN, y))
        y += panel.height + GAP
    bars.draw(pen, MARGIN + across + 3 * GAP, top)
    return paper
