"""Writes what a model reads of a subject: a contact sheet, a page for texts, arrays, a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.looking import choice
from perceiver_graph.looking.grounds import Ground, blank, grounds
from perceiver_graph.looking.page import page
from perceiver_graph.looking.sheet import Section, drawn
from perceiver_graph.media.files.packages import require
from perceiver_graph.runtime.inputs import write_arrays
from perceiver_graph.runtime.program import Program
from perceiver_graph.runtime.queries import Selection
from perceiver_graph.runtime.scores import Attention, arrays
from perceiver_graph.runtime.written import SUMMARY, former_results, not_ours, summary_bytes
from perceiver_graph.storage import digest, staged_group, unwritable

Array = NDArray[Any]
MOST_BYTES = 2**28
"""Of the scores of one cross-attend in the archive of arrays."""
COLUMNS = 6


@dataclass(frozen=True)
class Looked:
    """What was written, and what is to be said of it."""

    files: tuple[Path, ...]
    lines: tuple[str, ...]
    notes: tuple[str, ...]


def look(
    program: Program,
    given: Mapping[str, ArrayLike],
    folder: Path,
    stem: str,
    *,
    title: str = "",
    lines: Sequence[str] = (),
    decode: Mapping[str, Selection] | None = None,
    sizes: Mapping[str, int] | None = None,
    heads: bool = False,
) -> Looked:
    """Write what the model reads of arrays, the first of a batch in pictures: `STEM.png` and, of texts,
    `STEM.html`; `STEM.npz` has the weights of all, `STEM.json` what can be said in a line.

    Raises DiagnosticError (PG523) for a program that was compiled without attention, and as
    `Program.attention`; PG511 for what cannot be written.
    """
    found = program.attention(given, decode, sizes=sizes)
    require("PIL")
    shown = {name: np.asarray(array)[0] for name, array in given.items() if np.ndim(array)}
    sections, texts, said = _sections(program, found, shown)
    kept, large = arrays(found, heads=heads, most=MOST_BYTES)
    notes = tuple(
        f"the weights of `{name}` are {found[name].nbytes / 2**30:.1f} GiB: the mean over all that "
        "reads is in the arrays"
        for name in large
    )
    title = title or program.manifest.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with staged_group(folder, stem) as group:
            if sections:
                drawn(title, lines, sections).save(group.stage / f"{stem}.png", optimize=True)
            if texts:
                text = page(title, (*lines, *said), texts)
                (group.stage / f"{stem}.html").write_text(text, encoding="utf-8")
            write_arrays(group.stage / f"{stem}.npz", kept)
            digests = {path.name: digest(path) for path in sorted(group.stage.iterdir())}
            about = {"model": program.manifest.name, "attention": said, "notes": notes}
            (group.stage / f"{stem}{SUMMARY}").write_bytes(summary_bytes(about, digests))
            former = former_results(folder, stem)
            for name in group.publish(former, last=f"{stem}{SUMMARY}"):
                raise not_ours(folder / name)
    except OSError as error:
        raise unwritable(folder / stem, error) from error
    return Looked(
        tuple(folder / name for name in (*digests, f"{stem}{SUMMARY}")), tuple(said), notes
    )


def _sections(
    program: Program, found: Mapping[str, Attention], shown: Mapping[str, Array]
) -> tuple[list[Section], list[Any], list[str]]:
    """Sections of the sheet and of the page, and what is said of each cross-attend."""
    inputs = program.manifest.inputs
    sections: list[Section] = []
    texts: list[Any] = []
    said: list[str] = []
    for one in found.values():
        if one.rows.count == 0:
            continue
        if [rows.name for rows in one.read] == ["latents"]:
            section, line = _of_latents(one)
            said.append(line)
            sections += [section] if section else []
            continue
        of_latents = one.rows.name == "latents"
        first = choice.asked_for(found)
        rows = choice.strongest(one, COLUMNS, first) if of_latents else choice.spaced(one, COLUMNS)
        columns = (choice.together(one), *rows)
        heading = _heading(one)
        said.append(f"{heading}: {columns[0].said}")
        panels = grounds(one.read, inputs, shown)
        if panels:
            sections.append(_over(heading, one, columns, panels))
        for read in one.read:
            media = inputs[read.name].media if read.name in inputs else None
            if media is not None and media.key == "text" and len(read.axes) == 1:
                ids = _ids(shown[read.name], read.count)
                maps = [(column, one.parts(column.weights)[read.name]) for column in columns]
                texts.append((heading, ids, maps))
    return sections, texts, said


def _heading(one: Attention) -> str:
    """What a cross-attend does, in words."""
    number = one.name.partition(".")[2] if one.name.startswith("encode.") else ""
    time = f", time {int(number) + 1}" if number.isdigit() else ""
    reads = ", ".join(rows.name for rows in one.read)
    who = "what latents read" if one.rows.name == "latents" else f"what {one.rows.name} reads"
    return f"{who} of {reads}{time}"


def _over(
    heading: str,
    one: Attention,
    columns: tuple[choice.Column, ...],
    panels: Mapping[str, Ground],
) -> Section:
    maps = tuple(tuple(one.parts(column.weights)[name] for name in panels) for column in columns)
    return Section(heading, tuple(panels.values()), columns, maps)


def _of_latents(one: Attention) -> tuple[Section | None, str]:
    """What an output reads of the latents: bars of a single row, or where each is read."""
    mean = one.summary().mean[0]
    order = np.argsort(-mean, kind="stable")[:3].tolist()
    best = ", ".join(f"latent {index} {mean[index]:.1%}" for index in order)
    line = f"what {one.rows.name} reads of the latents: {best}"
    if one.rows.count == 1 or one.rows.axes == ("query",):
        return Section(f"which latents {one.rows.name} reads", bars=mean, caption=best), line
    panel = blank(one.rows)
    if panel is None:
        return Section(f"which latents {one.rows.name} reads", bars=mean, caption=best), line
    columns = tuple(choice.where_read(one, COLUMNS))
    maps = tuple((column.weights.reshape(one.rows.shape),) for column in columns)
    title = f"where {one.rows.name} reads a latent"
    return Section(title, (panel,), columns, maps, inputs=False), line


def _ids(array: Array, count: int) -> list[int]:
    return [int(one) for one in array.reshape(-1)[:count]]
