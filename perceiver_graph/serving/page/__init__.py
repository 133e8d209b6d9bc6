"""The page at `/` of a server: its models, and a form that tries one.

Style and script are files beside this one and go into the page as they are. The browser is told that
these very bytes alone may run, and that they may ask this server alone: nothing that a model says of
itself can do anything, and nothing is fetched from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from perceiver_graph.diagnostics import escape
from perceiver_graph.media.base import settings_of
from perceiver_graph.serving.models import Models, Served
from perceiver_graph.serving.texts import readers_of
from perceiver_graph.spec.manifest import InputEntry, Manifest, OutputEntry, axes_of
from perceiver_graph.version import __version__

_FOLDER = Path(__file__).parent
_MANY = 5000
"""Queries from which on the form asks for some of them at first."""
_SOME = "0:1000"


def page(models: Models) -> tuple[bytes, dict[str, str]]:
    """The page as HTML in ASCII alone, and the headers that go with it."""
    style, script = _text("page.css"), _text("page.js")
    shown = [(name, models[name]) for name in models.names if models[name].manifest is not None]
    html = Template(_text("page.html")).substitute(
        version=__version__,
        nav=_nav([name for name, _ in shown]),
        models="\n".join(_section(place, *one) for place, one in enumerate(shown)),
        data=escape.script_json([_data(name, one) for name, one in shown]),
        style=style,
        script=script,
    )
    policy = [
        "default-src 'none'",
        f"style-src {_digest(style)}",
        f"script-src {_digest(script)}",
        "connect-src 'self'",
        "img-src data:",  # its icon, which is empty
        *("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
    ]
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": "; ".join(policy),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    return html.encode("ascii", "xmlcharrefreplace"), headers


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What a content security policy calls an element that holds just this."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _nav(names: list[str]) -> str:
    if len(names) < 2:
        return ""
    links = (f'<li><a href="#m{n}">{escape.html(name)}</a></li>' for n, name in enumerate(names))
    return f'<nav aria-label="Models"><ul>{"".join(links)}</ul></nav>'


def _section(place: int, name: str, served: Served) -> str:
    manifest = served.manifest
    assert manifest is not None
    sizes = {
        "parameters": f"{manifest.parameters:,}",
        "FLOPs of a run": f"{manifest.flops:,}",
        "computes in": manifest.precision,
        "weights": manifest.weights,
        "requests": f"up to {served.batch} together" if served.batch > 1 else "one by one",
    }
    facts = "".join(f"<div><dt>{k}</dt><dd>{escape.html(v)}</dd></div>" for k, v in sizes.items())
    summary = f"<p>{escape.html(manifest.summary)}</p>\n" if manifest.summary else ""
    return Template(_text("model.html")).substitute(
        place=place,
        name=escape.html(name),
        summary=summary,
        facts=facts,
        flow=_flow(manifest),
        inputs="\n".join(_field(place, *one) for one in _inputs(manifest)),
        outputs="\n".join(_choice(place, *one) for one in manifest.outputs.items()),
    )


def _flow(manifest: Manifest) -> str:
    """The way of the data, as three columns: inputs, latents, outputs."""
    inputs = [(name, f"{entry.dtype} {axes_of(entry)}") for name, entry in _inputs(manifest)]
    outputs = [(name, f"{one.dtype} {axes_of(one)}") for name, one in manifest.outputs.items()]
    encode = manifest.programs.get("encode")
    states = [port for port in encode.outputs if port.of == "latents"] if encode else []
    latents = [("latents", f"float32 [{', '.join(map(str, one.shape))}]") for one in states]
    columns = (("input", inputs), ("latents", latents), ("output", outputs))
    return "".join(
        f'<ul class="{kind}">'
        + "".join(
            f"<li><b>{escape.html(n)}</b> <span>{escape.html(t)}</span></li>" for n, t in rows
        )
        + "</ul>"
        for kind, rows in columns
        if rows
    )


def _inputs(manifest: Manifest) -> Iterator[tuple[str, InputEntry]]:
    """The inputs that a request may have."""
    return ((name, one) for name, one in manifest.inputs.items() if one.mask != "always")


def _field(place: int, name: str, entry: InputEntry) -> str:
    told = escape.html(f"{entry.dtype} {axes_of(entry)}")
    optional = ", may be left out" if entry.mask == "optional" else ""
    return Template(_text("input.html")).substitute(
        id=f"m{place}-{escape.html(name)}", name=escape.html(name), told=told + optional
    )


def _choice(place: int, name: str, entry: OutputEntry) -> str:
    """An output that may be asked for, and where it has many queries, which of them."""
    shown = escape.html(name)
    value = _SOME if (entry.queries or 0) > _MANY else ""
    some = f'<label>queries <input class="queries" value="{value}" placeholder="all"></label>'
    box = f'<label><input type="checkbox" checked> {shown}</label>'
    return (
        f'<div class="choice" data-output="{shown}">{box}{some if entry.selectable else ""}</div>'
    )


def _data(name: str, served: Served) -> dict[str, Any]:
    """What the script has to know of a model."""
    manifest = served.manifest
    assert manifest is not None
    texts = readers_of(manifest)
    outputs = {}
    for output, entry in manifest.outputs.items():
        settings = settings_of(entry.media) if entry.media else None
        names = getattr(settings, "names", None)
        outputs[output] = {"axes": entry.axes, "names": names, "single": entry.queries == 1}
    return {
        "name": name,
        "inputs": [{**one, "text": one["name"] in texts} for one in served.inputs],
        "outputs": outputs,
    }
