"""Names of models that come from elsewhere than a spec: an option, an argument."""

from __future__ import annotations

import re

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.spec.models.base import MODEL_NAME_PATTERN


def as_model_name(text: str) -> str:
    """What is left of a text where names cannot have all of it; there may be nothing."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._-")[:64]


def require_model_name(name: str, help: str) -> None:
    """Raise DiagnosticError (PG109) for what a spec could not be called."""
    if re.fullmatch(MODEL_NAME_PATTERN.strip("^$"), name) is None:
        raise DiagnosticError.of(
            "PG109",
            f"{quote(name) if name else 'an empty text'} is not a valid name",
            notes=["letters, digits, `.`, `_` and `-`, a letter or digit first, at most 64"],
            help=help,
        )
