"""The losses of examples/losses.py are what the papers say: each against values worked out by hand.

A logit of log 3 beside one of 0 is a probability of 3/4 beside one of 1/4.
"""

from __future__ import annotations

import sys
from itertools import permutations
from math import log
from pathlib import Path

import pytest
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
import losses

SURE = [log(3), 0.0]
EVEN = [0.0, 0.0]


def exactly(value: float) -> object:
    """Equal but for the rounding of float32."""
    return pytest.approx(value, rel=1e-5)


def test_masked_language_is_the_mean_over_masked_positions() -> None:
    logits = torch.tensor([[SURE, [9.0, -9.0]], [EVEN, SURE]])
    ids = torch.tensor([[0, -100], [1, 1]])
    assert losses.masked_language(logits, ids).item() == exactly((log(4 / 3) + log(2) + log(4)) / 3)


def test_classification_with_and_without_smoothing() -> None:
    logits, labels = torch.tensor([SURE, EVEN]), torch.tensor([0, 1])
    assert losses.classification(logits, labels).item() == exactly((log(4 / 3) + log(2)) / 2)
    smooth = 0.95 * log(4 / 3) + 0.05 * log(4)
    found = losses.classification(logits, labels, smoothing=0.1).item()
    assert found == exactly((smooth + log(2)) / 2)


def test_glue_adds_cross_entropies_and_one_squared_error() -> None:
    outputs = {
        "cola": torch.tensor([SURE, EVEN]),
        "mnli": torch.tensor([[log(2), 0.0, 0.0], [0.0, 0.0, 0.0]]),
        "stsb": torch.tensor([[1.0], [3.0]]),
    }
    labels = {
        "cola": torch.tensor([1, 0]),
        "mnli": torch.tensor([0, 2]),
        "stsb": torch.tensor([1.5, 1.0]),
    }
    expected = (log(4) + log(2)) / 2 + (log(2) + log(3)) / 2 + (0.25 + 4) / 2
    assert losses.glue(outputs, labels).item() == exactly(expected)


def test_span_is_the_mean_of_both_ends() -> None:
    first, last = [SURE, EVEN], [[log(7), 0.0], EVEN]
    scores = torch.stack([torch.tensor(first), torch.tensor(last)], dim=-1)
    found = losses.span(scores, torch.tensor([0, 1]), torch.tensor([1, 0]))
    assert found.item() == exactly(((log(4 / 3) + log(2)) / 2 + (log(8) + log(2)) / 2) / 2)


def test_end_point_error_is_a_mean_of_distances() -> None:
    truth = torch.tensor([[[[1.0, 2.0], [5.0, 5.0]]]])
    flow = torch.tensor([[[[4.0, 6.0], [5.0, 6.0]]]])
    assert losses.end_point_error(flow, truth).item() == exactly((5 + 1) / 2)


def test_autoencoding_weighs_picture_sound_and_label() -> None:
    outputs = {
        "image": torch.tensor([[[0.0, 4.0, 1.0]]]),
        "audio": torch.tensor([[[1.0], [-2.0]]]),
        "label": torch.tensor([SURE]),
    }
    targets = {
        "image": torch.tensor([[[0.0, 0.0, -1.0]]]),
        "audio": torch.tensor([[[0.0], [0.0]]]),
        "label": torch.tensor([1]),
    }
    found = losses.autoencoding(outputs, targets).item()
    assert found == exactly(0.03 * 2 + 1.5 + 1e-4 * log(4))


def test_multi_label_is_a_mean_of_independent_classes() -> None:
    logits = torch.tensor([[log(3), log(3), 0.0]])
    labels = torch.tensor([[1.0, 0.0, 1.0]])
    assert losses.multi_label(logits, labels).item() == exactly((log(4 / 3) + log(4) + log(2)) / 3)


def test_per_entity_leaves_out_those_that_are_not_there() -> None:
    found = torch.tensor([[[1.0, 2.0], [50.0, 50.0]], [[0.0, 0.0], [0.0, 3.0]]])
    truth = torch.zeros(2, 2, 2)
    there = torch.tensor([[True, False], [True, True]])
    assert losses.per_entity(found, truth, there).item() == exactly((1 + 4 + 9) / 6)


def test_matched_set_of_a_picture_with_an_object_and_of_an_empty_one() -> None:
    """The second query is nearer and surer: it has the object, the first has none (class 1)."""
    classes = torch.tensor([[EVEN, SURE], [EVEN, SURE]])
    boxes = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.3, 0.4]]] * 2)
    one = torch.tensor([0]), torch.tensor([[0.1, 0.2, 0.4, 0.5]])
    nothing = torch.empty(0, dtype=torch.int64), torch.empty(0, 4)
    with_object = (log(2) + log(4 / 3)) / 2 + 5 * 0.2
    empty = (log(2) + log(4)) / 2
    found = losses.matched_set(classes, boxes, [one, nothing]).item()
    assert found == exactly((with_object + empty) / 2)


def test_matched_set_weighs_probabilities_and_distances() -> None:
    """A sure query is worth 1/4 more than an even one, or a distance of 0.05."""
    classes = torch.tensor([[EVEN, SURE]])
    for distance, expected in ((0.04, 1), (0.06, 0)):
        boxes = torch.zeros(1, 2, 4)
        boxes[0, 1, 2] = distance
        truth = [(torch.tensor([0]), torch.zeros(1, 4))]
        chosen = (log(2) + log(4 / 3)) / 2 + 5 * distance if expected else (log(2) + log(4)) / 2
        assert losses.matched_set(classes, boxes, truth).item() == exactly(chosen)


def test_matched_set_trains_classes_and_the_boxes_that_were_chosen() -> None:
    classes = torch.tensor([[EVEN, SURE]], requires_grad=True)
    boxes = torch.zeros(1, 2, 4, requires_grad=True)
    losses.matched_set(classes, boxes, [(torch.tensor([0]), torch.ones(1, 4))]).backward()
    assert classes.grad is not None
    assert boxes.grad is not None
    # Probability less target, over two queries; and 5 in the direction away from the object.
    torch.testing.assert_close(classes.grad, torch.tensor([[[0.25, -0.25], [-0.125, 0.125]]]))
    torch.testing.assert_close(boxes.grad, torch.tensor([[[0.0] * 4, [-5.0] * 4]]))


def brute_force(costs: Tensor) -> list[int]:
    """By trying every order."""
    queries, objects = costs.shape
    orders = permutations(range(queries), objects)
    return list(min(orders, key=lambda order: costs[list(order), range(objects)].sum().item()))


@pytest.mark.parametrize(("queries", "objects"), [(1, 1), (3, 1), (4, 3), (5, 4), (5, 5), (6, 2)])
def test_assignment_is_that_of_all_orders(queries: int, objects: int) -> None:
    generator = torch.Generator().manual_seed(queries * 10 + objects)
    for _ in range(10):
        costs = torch.randn(queries, objects, generator=generator)
        assert losses.assignment(costs).tolist() == brute_force(costs)


def test_assignment_of_a_hundred_queries() -> None:
    """Costs of which the best assignment is known, though each object has a cheaper query.

    By duality: what is paid for a query and for an object adds up to the cost of the pairs that were
    planted, to less than that of all others, and a query without an object is free.
    """
    generator = torch.Generator().manual_seed(0)
    planted = torch.randperm(100, generator=generator)[:20]
    of_query = torch.zeros(100, 1, dtype=torch.float64)
    of_query[planted] = -10 * torch.rand(20, 1, generator=generator, dtype=torch.float64)
    of_object = torch.rand(20, generator=generator, dtype=torch.float64)
    above = 0.1 + torch.rand(100, 20, generator=generator, dtype=torch.float64)
    above[planted, torch.arange(20)] = 0
    costs = of_query + of_object + above
    assert (costs.argmin(dim=0) != planted).sum() > 10
    assert losses.assignment(costs).tolist() == planted.tolist()


def test_assignment_of_no_objects() -> None:
    chosen = losses.assignment(torch.empty(100, 0))
    assert chosen.shape == (0,)
    assert chosen.dtype == torch.int64


def test_more_objects_than_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="3 objects for 2 queries"):
        losses.assignment(torch.zeros(2, 3))
