"""Train and evaluate: `python -m recipes train pictures`, `python -m recipes evaluate`."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from recipes.base import HERE, Recipe

BUILD = Path("build/recipes")


def known() -> list[str]:
    """The recipes, by name."""
    return sorted(path.parent.name for path in HERE.glob("*/recipe.py"))


def recipe(name: str) -> Recipe:
    """A recipe whose data is in the build folder."""
    found: Recipe = importlib.import_module(f"recipes.{name}.recipe").Recipe(BUILD / "data")
    return found


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m recipes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train", help="train a model, or go on").add_argument(
        "name", choices=known()
    )
    evaluating = commands.add_parser("evaluate", help="measure trained models on held-out data")
    evaluating.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known()))
    showing = commands.add_parser("gallery", help="renew docs/gallery.md, or sections of it")
    showing.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known()))
    options = parser.parse_args()
    if options.command == "train":
        from recipes.training import train

        print(train(recipe(options.name), BUILD / options.name))
        return 0
    if options.command == "gallery":
        from recipes.gallery import renew

        print(renew(map(recipe, known()), options.names, BUILD))
        return 0
    from recipes.evaluation import evaluate

    return 0 if evaluate(map(recipe, options.names or known()), BUILD) else 1


if __name__ == "__main__":
    raise SystemExit(main())
