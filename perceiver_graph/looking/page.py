"""Attention on a text, as a page: browsers have the letters of all languages."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.looking.choice import Column
from perceiver_graph.media.text import tokens

Array = NDArray[Any]
_STYLE = """body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:60rem;color:#1a1a1a;background:#fff}
h1{font-size:1.3rem}h2{font-size:1.05rem;margin-top:1.6rem}p.said{color:#666;margin:.2rem 0}
table{border-spacing:0 .5rem}th{font-weight:normal;text-align:right;vertical-align:top;padding-right:1rem;
white-space:nowrap;font-size:.85rem}th small{display:block;color:#767676}
td{font:17px/1.7 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
td span{background:rgba(226,88,34,var(--h))}td i{font-size:.7em;color:#767676}"""


def pieces(ids: Sequence[int]) -> list[tuple[str, int]]:
    """The characters of a text, with how many ids each is made of; `[CLS]` and the like by name."""
    found: list[tuple[str, int]] = []
    decoder, held = getincrementaldecoder("utf-8")("replace"), 0
    for one in [*ids, None]:
        letter = one is not None and one >= tokens.FIRST_BYTE
        byte = bytes([one - tokens.FIRST_BYTE]) if letter and one is not None else b""
        held += len(byte)
        text = decoder.decode(byte, final=not letter)
        left = len(decoder.getstate()[0])
        for number, character in enumerate(text):  # two, where a byte broke off the one before it
            last = number == len(text) - 1
            found.append((character, held - left - (len(text) - 1 - number) if number == 0 else 1))
            held = left if last else held
        if one is not None and not letter:
            found.append((tokens.SPECIAL[one], 1))
    return found


def shaded(ids: Sequence[int], heat: Array) -> str:
    """A text whose characters are shaded by the weights of their ids, from 0 to 1."""
    html, at = [], 0
    while len(ids) > 1 and ids[-1] == tokens.PAD:
        ids = ids[:-1]
    for text, count in pieces(ids):
        value = float(np.max(heat[at : at + count], initial=0))
        at += count
        inner = f"<i>{escape(text)}</i>" if text in tokens.SPECIAL else escape(text)
        html.append(f'<span style="--h:{value:.2f}">{inner}</span>' if value >= 0.01 else inner)
    return "".join(html)


def page(
    title: str,
    lines: Sequence[str],
    sections: Sequence[tuple[str, Sequence[int], Sequence[tuple[Column, Array]]]],
) -> str:
    """A page with a table for each section: its title, the ids of the text, and a row for each map."""
    body = [f"<h1>{escape(title)}</h1>", *(f'<p class="said">{escape(one)}</p>' for one in lines)]
    for heading, ids, rows in sections:
        body.append(f"<h2>{escape(heading)}</h2><table>")
        for column, weights in rows:
            heat = weights / max(float(weights.max(initial=0)), 1e-12)
            name = f"{escape(column.heading)}<small>{escape(column.said)}</small>"
            body.append(f"<tr><th>{name}</th><td>{shaded(ids, heat)}</td></tr>")
        body.append("</table>")
    body.append('<p class="said">The darker, the more of it is read; each line by itself.</p>')
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(body)}</body></html>\n"
