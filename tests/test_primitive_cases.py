"""What is drawn of each primitive shows all that it says: every attribute, some time, as it is not
usually."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample

from perceiver_graph.compiler.ops import PRIMITIVES
from tests.primitive_cases import CASES

ATTRIBUTES = [
    (name, field.name)
    for name in sorted(CASES)
    for field in fields(PRIMITIVES[name])
    if field.default is not MISSING
]
SEARCH = settings(
    max_examples=400,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(("name", "attribute"), ATTRIBUTES)
def test_every_attribute_is_drawn(name: str, attribute: str) -> None:
    """So that each backend is compared with numpy on it; one that was added and is not, is red here."""
    try:
        find(CASES[name], lambda case: attribute in case.op.unusual(), settings=SEARCH)
    except NoSuchExample:
        pytest.fail(f"no case of `{name}` in tests/primitive_cases.py has another `{attribute}`")
