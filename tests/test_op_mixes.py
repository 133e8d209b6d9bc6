"""What primitives say that they do not mix: rows, or channels too."""

from __future__ import annotations

import numpy as np
import pytest

from perceiver_graph.compiler.ir.op import PRIMITIVES
from tests.test_ops import CASES, Case, other_numbers

APART = [case for case in CASES if case.op.mixes != "anything"]


@pytest.mark.parametrize("case", APART, ids=str)
def test_what_is_said_not_to_be_mixed_is_not(case: Case) -> None:
    """Other numbers in one row, or in one channel, of what is read change that of the result alone."""
    inputs = case.inputs()
    x, result = inputs[0], case.op.evaluate(*inputs)
    if not x.ndim or x.shape[:1] != result.shape[:1]:
        return  # it is the same for all rows
    for axis in (0, -1) if case.op.mixes == "nothing" and x.shape == result.shape else (0,):
        changed = x.copy()
        first = np.moveaxis(changed, axis, 0)
        first[0] = other_numbers(first[0], case.below)
        others = np.moveaxis(case.op.evaluate(changed, *inputs[1:]), axis, 0)[1:]
        np.testing.assert_array_equal(others, np.moveaxis(result, axis, 0)[1:])


def test_what_is_not_mixed_is_tried_of_every_primitive_that_says_so() -> None:
    said = {name for name, op in PRIMITIVES.items() if op.mixes != "anything"}
    tried = {
        case.op.name
        for case in APART
        if case.shapes[0] and case.shapes[0][0] == len(case.op.evaluate(*case.inputs()))
    }
    assert said - tried <= {"broadcast"}  # which puts axes in front: nothing that it reads is a row
