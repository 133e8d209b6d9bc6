"""Losses with which the papers train their tasks; the package itself trains nothing.

Each takes what the emitted module returns, a tensor for each output, and targets.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Outputs = dict[str, Tensor]


def masked_language(logits: Tensor, ids: Tensor) -> Tensor:
    """Cross-entropy at the masked positions; `ids` is -100 elsewhere. Perceiver IO, section 4.1.

    Shapes: logits [batch, queries, vocabulary], ids [batch, queries].
    """
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=-100)


def classification(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy; ImageNet is trained with a label smoothing of 0.1. Perceiver IO, appendix H."""
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def glue(outputs: Outputs, labels: Outputs) -> Tensor:
    """The sum over tasks: squared error for the one that scores (stsb), else cross-entropy."""
    total = torch.zeros(())
    for task, answer in outputs.items():
        scored = answer.shape[-1] == 1
        part = F.mse_loss(answer[:, 0], labels[task]) if scored else None
        total = total + (F.cross_entropy(answer, labels[task]) if part is None else part)
    return total


def span(scores: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Cross-entropy over positions, of the first and of the last byte of an answer (SQuAD).

    Shapes: scores [batch, positions, 2], first and last [batch].
    """
    start, end = scores.unbind(-1)
    return (F.cross_entropy(start, first) + F.cross_entropy(end, last)) / 2


def end_point_error(flow: Tensor, truth: Tensor) -> Tensor:
    """The mean distance between flow vectors, [batch, height, width, 2]. Perceiver IO, section 4.2."""
    distances: Tensor = torch.linalg.vector_norm(flow - truth, dim=-1)
    return distances.mean()


def autoencoding(outputs: Outputs, targets: Outputs) -> Tensor:
    """0.03 L1 of pixels + L1 of samples + 1e-4 cross-entropy. Perceiver IO, appendix on Kinetics.

    Ask for a few hundred queries of picture and sound at a time, as the paper does.
    """
    loss = 0.03 * F.l1_loss(outputs["image"], targets["image"])
    loss = loss + F.l1_loss(outputs["audio"], targets["audio"])
    return loss + 1e-4 * F.cross_entropy(outputs["label"], targets["label"])


def multi_label(logits: Tensor, labels: Tensor) -> Tensor:
    """Sigmoid cross-entropy of classes that exclude nothing (AudioSet). Perceiver, section 4.2."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def per_entity(found: Tensor, truth: Tensor, there: Tensor) -> Tensor:
    """Squared error over the entities that are there. Shapes: [batch, n, c] twice, bool [batch, n]."""
    return F.mse_loss(found[there], truth[there])


def matched_set(classes: Tensor, boxes: Tensor, truth: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The set loss of DETR (arXiv 2005.12872): each object is matched with one query, the rest with
    the last class, "no object". Unlike there, boxes that overlap are worth nothing of their own, and
    "no object" weighs as much as any class. Needs scipy, see `assignment`.

    Shapes: classes [batch, q, c], boxes [batch, q, 4]; truth holds labels [k] and boxes [k, 4] of
    each picture.
    """
    losses = []
    for scores, found, (labels, wanted) in zip(classes, boxes, truth, strict=True):
        distances = torch.cdist(found, wanted, p=1)
        costs = 5 * distances - scores.softmax(-1)[:, labels]
        chosen = assignment(costs.detach())
        targets = labels.new_full((len(scores),), scores.shape[-1] - 1)
        targets[chosen] = labels
        pairs = distances.gather(0, chosen[None])
        box = pairs.mean() if len(labels) else 0.0
        losses.append(F.cross_entropy(scores, targets) + 5 * box)
    return torch.stack(losses).mean()


def assignment(costs: Tensor) -> Tensor:
    """The query of each object for the least total cost, costs [q, k] -> int64 [k], k at most q.

    Needs `pip install scipy`: 100 queries and 20 objects are one call of its solver.
    """
    from scipy.optimize import linear_sum_assignment

    queries, objects = costs.shape
    if objects > queries:
        raise ValueError(f"{objects} objects for {queries} queries: each needs one of its own")
    _, chosen = linear_sum_assignment(costs.T.float().cpu().numpy())
    return torch.as_tensor(chosen, dtype=torch.int64, device=costs.device)
