"""What the cases of each folder of tests/cases show: one function a folder.

A case is a ```yaml block and the ```text block after it. The function registered for the folder
turns the first into the second; what follows `yaml` on the line of the fence comes as options
(`set=a.b=1` is {"set": "a.b=1"}).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import get_args

from perceiver_graph.compiler.lower import lower
from perceiver_graph.diagnostics import DiagnosticError, Format, render
from perceiver_graph.spec import parse_spec
from tests.shape_table import parameter_list, shape_table

Options = Mapping[str, str]
Kind = Callable[[str, Options], str]

KINDS: dict[str, Kind] = {}


def kind(folder: str) -> Callable[[Kind], Kind]:
    """Register the function for the cases in `tests/cases/<folder>`."""

    def register(function: Kind) -> Kind:
        KINDS[folder] = function
        return function

    return register


@kind("diagnostics")
def diagnostics(yaml_text: str, options: Options) -> str:
    """What `check` prints. Options: `format`, and `set` for an override."""
    overrides = [options["set"]] if "set" in options else []
    format: Format = next(f for f in get_args(Format) if f == options.get("format", "full"))
    try:
        lower(parse_spec(yaml_text, "spec.yaml", overrides))
    except DiagnosticError as error:
        return render(error.diagnostics, format)
    return "no errors\n"


@kind("shapes")
def shapes(yaml_text: str, options: Options) -> str:
    """Every shape of a spec; with the option `parameters`, a pattern, those parameters instead."""
    model = lower(parse_spec(yaml_text, "spec.yaml"))
    if "parameters" in options:
        return parameter_list(model, options["parameters"])
    return shape_table(model)
