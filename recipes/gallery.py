"""Writes docs/gallery.md: what the trained models make of data that they never saw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from recipes.base import HERE, Figure, Recipe
from recipes.evaluation import measured, module

DOCS = HERE.parent / "docs"
HEADER = """\
# Gallery

The models of [recipes](../recipes/README.md) that have been trained, each on a part of its data, and
what they make of the other part. `make gallery` measures them and writes this page.
"""


def sections(page: str) -> dict[str, str]:
    """The sections of a page, by the name of the model."""
    parts = re.split(r"^## (\S+)\n", page, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def page_of(found: Mapping[str, str]) -> str:
    """The page with these sections, in the order of their names."""
    return HEADER + "".join(f"\n## {name}\n{found[name]}" for name in sorted(found))


def section(one: Recipe, figures: Iterable[tuple[Figure, ...]], shown: str) -> str:
    """What stands under the name of a model: what it is, what it shows, and how good it is."""
    title = one.spec.with_name("README.md").read_text(encoding="utf-8").splitlines()[0]
    subject = title.partition(": ")[2]
    lines = [
        "",
        f"{subject[:1].upper()}{subject[1:]} ([card](../recipes/{one.name}/README.md)).",
    ]
    if shown:
        lines += ["", shown.strip()]
    lines += [
        "",
        "| on held-out data | wanted | PyTorch | ONNX | int8 |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in figures:
        values = " | ".join(f"{figure.value:.2f}" for figure in row)
        lines.append(f"| {row[0].name}, {row[0].unit} | {row[0].wanted:g} | {values} |")
    return "\n".join(lines) + "\n"


def renew(recipes: Iterable[Recipe], names: Sequence[str], build: Path, docs: Path = DOCS) -> Path:
    """Measure the models named, or all, and write their sections; the others keep what is there.

    Models without weights have no section.
    """
    page = docs / "gallery.md"
    before = sections(page.read_text(encoding="utf-8")) if page.exists() else {}
    found = {}
    for one in recipes:
        if not one.weights.exists():
            continue
        if names and one.name not in names and one.name in before:
            found[one.name] = before[one.name]
        elif not names or one.name in names:
            figures = measured(one, build)
            found[one.name] = section(one, figures, one.show(module(one), docs / "pictures"))
    page.write_text(page_of(found), encoding="utf-8")
    return page
