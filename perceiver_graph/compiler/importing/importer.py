"""Import as one call: a checkpoint in, the text of a spec and its weights out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perceiver_graph.compiler.importing import classes, deepmind, hub, parts
from perceiver_graph.compiler.importing.draft import Configuration, Draft
from perceiver_graph.compiler.importing.heads import belongs_to, renew
from perceiver_graph.compiler.importing.hub import Snapshot
from perceiver_graph.compiler.importing.preprocessing import Preprocessing
from perceiver_graph.compiler.importing.settings import Settings
from perceiver_graph.compiler.importing.sources import (
    below,
    config_of,
    is_pickle,
    open_transformers,
    tensors_at,
)
from perceiver_graph.compiler.importing.specs import BUILDERS
from perceiver_graph.compiler.importing.yaml_text import spec_text
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.compiler.weights.assign import fit
from perceiver_graph.compiler.weights.files import Tensors, not_found
from perceiver_graph.compiler.weights.haiku import HaikuLayout
from perceiver_graph.compiler.weights.known_settings import not_followed
from perceiver_graph.compiler.weights.layouts import Layout
from perceiver_graph.compiler.weights.systems import SystemLayout
from perceiver_graph.compiler.weights.transformers import Checkpoint, TransformersLayout, read_json
from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.calls import answered
from perceiver_graph.diagnostics.commands import named, setting
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.manifest import SPEC_NAME
from perceiver_graph.spec.model_names import as_model_name, require_model_name
from perceiver_graph.storage import is_here

_LABEL_HEADS = (
    "output_postprocessor.modalities.label.classifier.weight",
    "decoder.decoder.final_layer.weight",
)

_THEIRS = {
    "weights": "it is called `checkpoint`, and comes first",
    "overrides": "it is called `settings`",
    "replace_head": "it is called `replace_heads`: `replace_heads={OUTPUT: CLASSES}`",
    "revision": "`download(NAME, revision=...)` of perceiver_graph.compiler.importing gets it",
}


@dataclass(frozen=True)
class Imported:
    """A checkpoint in the form of this package."""

    name: str
    source: str
    """Which model it is, in words."""
    spec_text: str
    """YAML; it passes the loader, and its graph has exactly these weights."""
    graph: Graph
    weights: Mapping[str, Array] = field(repr=False)
    """float32, by parameter name."""
    notes: Sequence[str] = ()
    """What a person should know: conversions, tensors outside of the prefix, new heads."""


@answered(_THEIRS)
def import_checkpoint(
    checkpoint: str | Path | Snapshot,
    *,
    model_class: str | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    prefix: str = "",
    name: str | None = None,
    image_size: tuple[int, int] | None = None,
    replace_heads: Mapping[str, int] | None = None,
    seed: int = 0,
    settings: Sequence[str] = (),
) -> Imported:
    """Read a checkpoint of transformers or DeepMind, or of a system that a Perceiver is a part of.

    `checkpoint` is a transformers folder, a .safetensors file with its configuration beside it or in
    `config`, a .pystate or .pickle file of DeepMind, the name of a model on the Hugging Face hub, which
    is downloaded once, or what `download` has got. `model_class` says which model it is where that cannot
    be told. Only tensors whose names begin with `prefix` are read.
    `image_size` is height and width of pictures, where others are wanted. `replace_heads` gives outputs
    new heads of so many classes, initialised from `seed`. `settings`, each `KEY=VALUE`, replace values
    of the spec of a part, such as heads, which no tensor tells.
    Raises DiagnosticError (PG109, PG3xx) with everything that is wrong.
    """
    if name is not None:
        better = as_model_name(name) or "my_model"
        require_model_name(name, f"for example {quote(better)}")
    if isinstance(checkpoint, str):
        checkpoint = hub.find(checkpoint, whatever=bool(prefix))
    got = checkpoint if isinstance(checkpoint, Snapshot) else None
    path = checkpoint.folder if isinstance(checkpoint, Snapshot) else Path(checkpoint)
    if not is_here(path):
        raise not_found(path)
    given = Path(config) if isinstance(config, str) else config
    pickled = path.is_file() and is_pickle(path)
    part = None if pickled else _open_part(path, given, prefix, settings)
    if part is not None:
        _refuse_more(part, model_class, image_size)
        return _finish(part, got, name, replace_heads or {}, seed)
    read = _open_deepmind if pickled else _open_transformers
    opened = read(path, model_class, given, prefix, image_size)
    _refuse_settings(opened, settings)
    return _finish(opened, got, name, replace_heads or {}, seed)


@dataclass(frozen=True)
class _Opened:
    """A checkpoint whose class and settings are known."""

    model_class: str
    source: str
    draft: Draft
    tensors: Tensors
    layout: Layout
    notes: Sequence[str] = ()


def _open_part(
    path: Path,
    config: Path | Mapping[str, Any] | None,
    prefix: str,
    settings: Sequence[str],
) -> _Opened | None:
    """A system that a Perceiver is a part of; None where the names are of none."""
    try:
        whole = tensors_at(path)
    except DiagnosticError:  # reported where the configuration is known, which may say more
        return None
    tensors, notes = below(whole, prefix)
    system = parts.recognise(tensors, prefix)
    if system is None:
        return None
    made = parts.draft(system, tensors, config_of(path, config), settings)
    layout = SystemLayout(system, heads=parts.heads(system, made.data))
    return _Opened(system.spec, system.source, made, tensors, layout, notes)


def _refuse_more(
    part: _Opened, model_class: str | None, image_size: tuple[int, int] | None
) -> None:
    """Options that mean nothing to a part (PG311)."""
    given = {"--model-class": model_class, "--image-size": image_size}
    for flag, value in given.items():
        if value is not None:
            word = named(flag)
            raise DiagnosticError.of(
                "PG311",
                f"{word} is of classes of transformers, and this is a {part.source}",
                help=f"leave {word} out",
            )


def _refuse_settings(opened: _Opened, settings: Sequence[str]) -> None:
    """Settings for what says all of itself (PG311)."""
    if settings:
        given = setting("--set", settings[0], f"settings={[*settings]}")
        raise DiagnosticError.of(
            "PG311",
            f"{given} is for parts of other systems, and this is a {opened.source}",
            help=f"change `{SPEC_NAME}` once it is written, or say it to `compile`, which takes settings too",
        )


def _open_transformers(
    path: Path,
    model_class: str | None,
    config: Path | Mapping[str, Any] | None,
    prefix: str,
    image_size: tuple[int, int] | None,
) -> _Opened:
    source = open_transformers(path, config, prefix)
    found = classes.find_class(source.tensors.names, source.root, source.config, model_class)
    shapes = (source.tensors.tensors.get(source.root + end) for end in _LABEL_HEADS)
    labels = next((t.shape[0] for t in shapes if t is not None and t.shape), 2)
    settings = Settings(source.config)
    draft = _draft(found, settings, max(labels, 1), image_size, source.picture)
    layout = TransformersLayout(source.root)
    what = f"{found} of transformers"
    notes = (*source.notes, *settings.notes, *not_followed(source.config))
    return _Opened(found, what, draft, source.tensors, layout, notes)


def _open_deepmind(
    path: Path,
    model_class: str | None,
    config: Path | Mapping[str, Any] | None,
    prefix: str,
    image_size: tuple[int, int] | None,
) -> _Opened:
    found = deepmind.read_parameters(path)
    given = classes.find_class((), "", {}, model_class) if model_class else found.model_class
    if given != found.model_class or prefix:
        raise DiagnosticError.of(
            "PG311",
            f"{quote(path)} holds DeepMind's {found.model_class}"
            + ("" if prefix else f", not {given}"),
            help=f"leave {named('--prefix' if prefix else '--model-class')} out",
        )
    more = read_json(config) if isinstance(config, Path) else config or {}
    settings = Settings({**found.config, **more})
    draft = _draft(given, settings, 2, image_size, Preprocessing({}))
    deepmind.adapt(given, draft)
    what = f"DeepMind's original of {given}"
    notes = (*settings.notes, *not_followed(more))
    return _Opened(given, what, draft, found.tensors, HaikuLayout(), notes)


def _draft(
    model_class: str,
    settings: Settings,
    labels: int,
    image_size: tuple[int, int] | None,
    picture: Preprocessing,
) -> Draft:
    if image_size is not None and model_class in (classes.MASKED_LM, classes.TEXT_CLASSIFIER):
        settings.wrong(f"{model_class} reads no pictures, so an image size means nothing")
    made = BUILDERS[model_class](Configuration(settings, labels, image_size, picture))
    settings.report.raise_if_errors()
    notes = picture.notes
    if picture.given and model_class not in classes.OF_PICTURES:
        notes = [f"{picture.file} was not read: {model_class} takes no single pictures"]
    return replace(made, notes=tuple(notes))


def _finish(
    opened: _Opened, got: Snapshot | None, name: str | None, heads: Mapping[str, int], seed: int
) -> Imported:
    """Write the spec, check it and fit the tensors to its graph."""
    renew(opened.draft.data, heads)
    path = opened.tensors.path
    name = name or (got and got.model_name) or _name(path, opened.model_class)
    summary = f"Imported from {got or path.name or 'a checkpoint'} ({opened.source})"
    data = {"perceiver": 1, "name": name, "summary": summary, **opened.draft.data}
    text = spec_text(data, opened.draft.remarks)
    graph = lower(parse_spec(text, SPEC_NAME)).graph
    fresh = {leaf.value.name for leaf in graph.parameters if belongs_to(leaf.value.name, heads)}
    report = Report()
    checkpoint = Checkpoint(opened.tensors)
    weights = fit(checkpoint, graph, layout=opened.layout, fresh=fresh, report=report)
    if fresh:
        initial = initialize(graph, seed)
        weights |= {parameter: initial[parameter] for parameter in fresh}
    told = [d.message for d in report.diagnostics]
    told += [f"the head of `{n}` is new, for {c} classes (seed {seed})" for n, c in heads.items()]
    ordered = {leaf.value.name: weights[leaf.value.name] for leaf in graph.parameters}
    notes = [*(got.notes if got else ()), *opened.notes, *opened.draft.notes, *told]
    return Imported(name, opened.source, text, graph, ordered, notes)


def _name(path: Path, model_class: str) -> str:
    """A name that specs may have, from that of the file or its folder."""
    resolved = path.resolve()
    word = resolved.name if resolved.is_dir() else resolved.stem
    if word in ("model", "weights", "pytorch_model"):
        word = resolved.parent.name
    return as_model_name(word) or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", model_class).lower()
