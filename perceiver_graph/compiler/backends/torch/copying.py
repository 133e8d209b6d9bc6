"""Copies into emitted files what they use of the library: its text is read, torch is not imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LIBRARY = f"{__package__}.library"


@dataclass(frozen=True)
class Library:
    """The text of each function, class and constant by name, and the module and name behind each
    imported one (no name for a module as a whole)."""

    definitions: Mapping[str, str]
    imports: Mapping[str, tuple[str, str]]

    @property
    def names(self) -> frozenset[str]:
        return frozenset({*self.definitions, *self.imports})


@cache
def library() -> Library:
    """What the files of the library define and import from elsewhere."""
    definitions: dict[str, str] = {}
    imports: dict[str, tuple[str, str]] = {}
    for file in sorted(files(LIBRARY).iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".py"):
            continue
        text = file.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            match node:
                case (
                    ast.FunctionDef(name=name)
                    | ast.ClassDef(name=name)
                    | ast.Assign(targets=[ast.Name(id=name)])
                ):
                    definitions[name] = ast.get_source_segment(text, node) or ""
                case ast.Import(names=found):
                    imports |= {x.asname or x.name: (x.name, "") for x in found}
                case ast.ImportFrom(module=str(module), names=found) if module != "__future__":
                    imports |= {x.asname or x.name: (module, x.name) for x in found}
    others = {name: of for name, of in imports.items() if not of[0].startswith(LIBRARY)}
    return Library(definitions, others)


def needed(code: str) -> list[str]:
    """The definitions of the library that code uses, each after those it uses itself."""
    texts: list[str] = []
    seen: set[str] = set()

    def visit(text: str) -> None:
        used = mentioned(text)
        for name, definition in library().definitions.items():
            if name in used and name not in seen:
                seen.add(name)
                visit(definition)
                texts.append(definition)

    visit(code)
    return texts


def import_statements(code: str) -> str:
    """The imports that code needs of those that the library has: Python's own, then torch's."""
    used = mentioned(code)
    needed = [(name, *of) for name, of in library().imports.items() if name in used]
    sections = (
        [entry for entry in needed if (entry[1].split(".")[0] == "torch") is ours]
        for ours in (False, True)
    )
    texts = ["from __future__ import annotations", *("\n".join(_statements(s)) for s in sections)]
    return "\n\n".join(filter(None, texts))


def mentioned(code: str) -> set[str]:
    """Every name in code that is not an attribute."""
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _statements(imports: Iterable[tuple[str, str, str]]) -> list[str]:
    """In the order of isort."""
    whole, parts = [], dict[str, list[str]]()
    for name, module, part in imports:
        if part:
            parts.setdefault(module, []).append(part)
        else:
            whole.append(f"import {module}" + (f" as {name}" if name != module else ""))
    some = [f"from {m} import {', '.join(sorted(names))}" for m, names in sorted(parts.items())]
    return [*sorted(whole), *some]
