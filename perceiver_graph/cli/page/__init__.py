"""A spec as one page of HTML that needs no network: its data flow as a picture whose blocks open.

Script and style are files beside this one, and go into the page as they are. The page allows these
very bytes alone to run: nothing that a spec says can, and nothing is fetched from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from string import Template
from typing import Any

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.cli.page.level import level
from perceiver_graph.cli.screen import count, scaled
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.lowering.lowered import Lowered, OutputShape
from perceiver_graph.diagnostics import escape

_FOLDER = Path(__file__).parent
SCRIPTS = ("data", "layout", "shapes", "picture", "facts", "search", "main")
"""The script's files in the order in which they are joined."""


def page(lowered: Lowered) -> str:
    """A spec as HTML, in ASCII alone."""
    spec = lowered.document.spec
    before, after = Inspection.of(lowered, 0), Inspection.of(lowered, 2)
    style = _text("page.css")
    script = "".join(_text(f"{name}.js") for name in SCRIPTS)
    text = Template(_text("page.html")).substitute(
        allowed=f"style-src {_digest(style)}; script-src {_digest(script)}",
        name=escape.html(spec.name),
        summary=f"<p>{escape.html(spec.summary)}</p>\n" if spec.summary else "",
        sizes="".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>\n" for k, v in _sizes(before).items()),
        footer=_footer(before),
        data=escape.script_json(_data(before, after)),
        style=style,
        script=script,
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _data(before: Inspection, after: Inspection) -> dict[str, Any]:
    source = before.lowered.document.source
    return {
        "name": before.lowered.document.spec.name,
        "spec": {
            "path": source.path,
            "lines": list(source.lines[: -1 if not source.lines[-1] else None]),
        },
        "levels": [level(before), level(after)],
    }


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a content security policy calls an element that holds just this."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _sizes(inspection: Inspection) -> dict[str, str]:
    """The sizes of the whole model by what they are sizes of."""
    lowered = inspection.lowered
    tokens, width = lowered.input_array
    queries = lowered.taken
    if lowered.query_width:
        queries = f"{_rows(lowered.total_queries)} x {lowered.query_width}"
        queries += f", in {lowered.chunks} chunks" if lowered.chunks > 1 else ""
    outputs = (f"{escape.html(name)} {_given(output)}" for name, output in lowered.outputs.items())
    return {
        "inputs": f"{_rows(tokens)} x {width}{lowered.each}",
        "latents": " x ".join(map(str, lowered.latents)) + lowered.each,
        "queries": queries,
        "outputs": ", ".join(outputs),
        "parameters": count(lowered.graph.parameter_count),
        "FLOPs before the passes": scaled(inspection.after.flops),
    }


def _given(output: OutputShape) -> str:
    """The size of an output: its queries, or where it has none its axes."""
    if output.queries.value == 0:
        return " x ".join([*(count(axis.size.plain) for axis in output.axes), str(output.channels)])
    return f"{_rows(output.queries)} x {output.channels}"


def _rows(size: Dim) -> str:
    """A number of rows; a sum in brackets, since channels follow."""
    text = count(size.plain)
    return f"({text})" if " " in text else text


def _footer(inspection: Inspection) -> str:
    at = "".join(
        f", {escape.html(name)} = {value}" for name, value in inspection.free_sizes.items()
    )
    counted = (
        "FLOPs: multiplications and additions of matrix products, for every query. Memory: what the "
        "operation inside reads, holds and writes that takes most, for one chunk of queries"
    )
    return f"{counted}. Both at batch 1{at}."
