"""Addresses of the web, and names of models of a hub, where files are wanted."""

from __future__ import annotations

import re

from perceiver_graph.diagnostics.commands import command, shell

_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs):/", re.I)
_HUB = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+?)(?:/(?:tree|blob|resolve)/.*)?/?",
    re.I | re.A,
)
_NAME = re.compile(r"(?:hf://)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)", re.A)
_FILE = re.compile(r"\.[A-Za-z]\w{0,11}$")


def instead(text: str, word: str) -> str | None:
    """How what an address names is had, for the command `word`; None for what is no address."""
    if _ADDRESS.match(text):  # a path has one stroke of the two
        text = re.sub(":/+", "://", text, count=1)
    if hub := _HUB.fullmatch(text):
        return f"a model of the hub goes by its name: {command(word, f'hf://{hub[1]}')}"
    if _ADDRESS.match(text):
        return f"files are read from disks alone; get it first: {shell('curl', '-LO', text)}"
    return None


def of_a_hub(text: str) -> str | None:
    """The name of a model of a hub that a text may be, as a command takes it: `hf://OWNER/NAME`."""
    found = _NAME.fullmatch(text)
    return f"hf://{found[1]}" if found and not _FILE.search(text) else None
