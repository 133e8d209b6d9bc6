"""How text of the user's goes into each kind of output: one function a kind, and no other way.

A name, a path, a summary or a label may hold anything. Here it becomes text that is only shown: it
steers no terminal, opens no tag, ends no string and starts no command.
"""

from __future__ import annotations

import html as standard
import json as standard_json
import math
import re
import shlex
from typing import Any

from perceiver_graph.diagnostics.text import clean, is_hidden

_UNSEEN = re.compile(r"[^ -~\n]")
_RUNS = re.compile(r'""+|"$')


def line(text: object) -> str:
    """One line of a terminal: control characters are shown, line breaks too."""
    return clean(str(text)).replace("\n", "\\n")


def html(text: object) -> str:
    """Text and attributes of HTML."""
    return standard.escape(clean(str(text)))


def dot(text: object) -> str:
    """A string of Graphviz's language, with its quotes; line breaks stay."""
    escaped = clean(str(text)).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def mermaid(text: object) -> str:
    """A text of Mermaid, with its quotes; `#` begins an entity there, and only `<br/>` a line."""
    escaped = clean(str(text)).replace("#", "#35;").replace("&", "#amp;").replace('"', "#quot;")
    escaped = escaped.replace("<", "#lt;").replace(">", "#gt;").replace("`", "#96;")
    return f'"{escaped}"'.replace("\n", "<br/>")


def shell(*words: object) -> str:
    """A command line that means these words, whatever is in them, in a POSIX shell."""
    return " ".join(_word(str(word)) for word in words)


def shell_path(path: object) -> str:
    """A path as a word of a command line, where it is no option even if it begins with a dash."""
    text = str(path)
    return shell(f"./{text}" if text.startswith("-") else text)


def docstring(text: str) -> str:
    """The inside of a docstring of Python: it holds no escape, and nothing ends it."""
    return _RUNS.sub(lambda run: '\\"' * len(run[0]), clean(text).replace("\\", "\\\\"))


def json(value: Any, *, indent: int | None = 2, as_it_is: bool = False, end: str = "\n") -> str:
    """A document of JSON as RFC 8259 has it: a number that is not finite becomes null.

    In ASCII alone, unless text stays as it is, but for what cannot be seen. `indent=None` makes one
    line, 0 one without blanks.
    """
    separators = (",", ":") if indent == 0 else None
    text = standard_json.dumps(
        _finite(value),
        indent=indent or None,
        separators=separators,
        ensure_ascii=not as_it_is,
        allow_nan=False,
    )
    return (_UNSEEN.sub(_escaped, text) if as_it_is else text) + end


def script_json(value: Any) -> str:
    """JSON inside a script element of HTML: no tag, comment or entity is in it, and no text steers."""
    text = json(_cleaned(value), indent=0, end="")
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def comment(text: object) -> str:
    """The rest of a line that is a comment, in Python or YAML."""
    return line(text)


def _word(text: str) -> str:
    if line(text) == text:
        return shlex.quote(text)
    # What a terminal must not be sent is written out, byte by byte, for the shell to put together.
    data = text.encode("utf-8", "surrogateescape" if _from_system(text) else "surrogatepass")
    shown = "".join(chr(b) if 32 <= b < 127 and b not in b"\\'" else f"\\x{b:02x}" for b in data)
    return f"$'{shown}'"


def _from_system(text: str) -> bool:
    """Whether its surrogates, if any, stand for bytes of a file name that is no Unicode."""
    return not any(
        "\ud800" <= char <= "\udfff" and not "\udc80" <= char <= "\udcff" for char in text
    )


def _escaped(found: re.Match[str]) -> str:
    """A character of JSON: as its escape if it is hidden."""
    char = found[0]
    return standard_json.dumps(char)[1:-1] if is_hidden(char) or char == "\x7f" else char


def _cleaned(value: Any) -> Any:
    """The same value of JSON whose texts show what cannot be seen."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list) else value


def _finite(value: Any) -> Any:
    """The same value of JSON with null for what it has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
