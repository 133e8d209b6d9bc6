"""What is answered where somebody writes what other tools take, or the first thing that comes to mind."""

from __future__ import annotations

import pytest

import perceiver_graph as pg
from tests.tiny import fault, faults

SPEC = """\
perceiver: 1
name: usual
inputs:
  image: {shape: {view: 3, height: 32, width: 32, channel: 8}}
latents: {count: 4, width: 16}
layers: {bias: true}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 12}}
"""


def answers(old: str, new: str) -> list[str]:
    """The help of each fault of the spec with `new` for `old`."""
    assert old in SPEC
    return [one.help or "" for one in faults(lambda: pg.compile(SPEC.replace(old, new)))]


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (
            "channel: 8}",
            "channel: 8}, mask: true",
            "a mask of single tokens is `attention_mask: true`",
        ),
        (
            "channel: 8}",
            "channel: 8}, position: rotary",
            "leave `position` out and write `rotary: true`",
        ),
        (
            "channel: 8}",
            "channel: 8}, position: {rotary: {}}",
            "or by its places, `rotary: {of: [view, height, width]}`",
        ),
        ("bias: true", "rotary: {axes: [height, width]}", "did you mean `of`?"),
        (
            "channel: 8}",
            "channel: 8}, steps: [{patch: 16}]",
            "write `patch: {height: 16, width: 16}`",
        ),
        ("query: {learned: {}}, ", "", "write `query: {learned: {}}`"),
        ("query: {learned: {}}", "query: cls", "for example `query: {learned: {}}`"),
        ("query: {learned: {}}", "query: {oints: 3}", "did you mean `points`?"),
        (
            "query: {learned: {}}",
            "query: {time: 10}",
            "write `query: {grid: {time: 10}, position: {learned: {width: 64}}}`",
        ),
        ("query: {learned: {}}", "query: {mean: image}", "write `mean: latents`"),
        ("head: {linear: 12}", "head: {classes: 7}", "write `head: {linear: 7}`"),
        ("channel: 8}", "channel: 8}, media: {csv: {}}", "write `media: {table: {}}`"),
        ("latents: {count: 4, width: 16}\n", "", "write `latents: {count: 256, width: 512}`"),
        ("process: {layers: 1, heads: 2}\n", "", "write `process: {layers: 6, heads: 8}`"),
        (
            "  label: {query: {learned: {}}, head: {linear: 12}}\n",
            "",
            "`outputs: {label: {query: {learned: {}}, head: {linear: 10}}}`",
        ),
        ("name: usual", "name: usual\nzebra: 1", "leave it out: the keys known here are"),
        (
            "shape: {view: 3, height: 32, width: 32, channel: 8}",
            "steps: [{embedding: {vocabulary: 262, width: 8}}]",
            "write `shape: {byte: 512}`",
        ),
        ("heads: 2", "stochastic_depth: 0.1", "`dropout: 0.1` leaves out numbers"),
        ("heads: 2", "weights: false", "leave it out: layers have weights of their own"),
        ("heads: 2", "share_weights: false", "did you mean `share`?"),
        ("channel: 8}", "channel: 8}, max_length: 512", "write `max: 512` under `dims.length`"),
        (
            "outputs:",
            "decode: {output_dim: 4}\noutputs:",
            "write `head: {linear: 4}` under `outputs.label`",
        ),
        (
            "head: {linear: 12}",
            "media: {classes: 12}",
            "write `head: {linear: 12}` under `outputs.label`",
        ),
        ("head: {linear: 12}", "classes: 12", "write `head: {linear: 12}` under `outputs.label`"),
        (
            "head: {linear: 12}",
            "head: {linear: 12}, media: {classes: {names: labels.txt}}",
            "what is in a file is not read here",
        ),
        ("head: {linear: 12}", "head: {linear: 12}, media: {labels: {}}", "or leave `media` out"),
        ("width: 16}", "width: 16kHz}", "write `16000`"),
        ("width: 16}", "width: 0}", "for example `width: 512`"),
        ("layers: 1", "layers: six", "write `6`"),
        ("layers: 1", "layers: some", "for example `layers: 6`"),
        ("heads: 2", "dropout: high", "for example `dropout: 0.1`"),
        ("heads: 2", "dropout: 1.5", "for example `dropout: 0.1`"),
        ("heads: 2", "dropout: true", "for example `dropout: 0.1`"),
        ("heads: 2", "weights: tied", "write `weights: own`, as it is where it is left out"),
        ("view: 3", "view: 0", "a size is 1 or more"),
        ("view: 3", "view: 10s", "seconds times the rate, 160000 at 16000 a second"),
        ("view: 3", "view: 250ms", "seconds times the rate, 4000 at 16000 a second"),
        ("layers: 1,", "layers 1,", "write `layers: 1`, with a colon"),
        ("process:", "activation: relu\nprocess:", "write `activation: relu` under `layers`"),
        ("latents: {", "latents: {heads: 3, ", "write `encode: {heads: 3}`, not indented"),
        ("shape: {", "dims: {n: {max: 3}}, shape: {", "write `dims: {n: {max: 3}}`, not indented"),
        ("label: {", "label: {position: {learned: {}}, ", "under `outputs.label.query`"),
        ("{linear: 12}", "regression", "for example `head: {linear: 10}`"),
        # Not written: where it is is not known.
        ("heads: 2", "count: 1", "`count` belongs in `latents` or `outputs.NAME.query.learned`"),
        ("shape: {", "rate: 50, shape: {", "leave it out: arrays are taken as they are"),
        # YAML
        ("latents: {count: 4, width: 16}", "latents:\n  count 4\n  width: 16", "write `count: 4`"),
        ("latents: {count: 4, width: 16}", "latents:\n  width: 16\n  count 4", "write `count: 4`"),
        ("latents: {", "latents {", "write `latents: {count: 4, width: 16}`"),
        ("width: 16}", "width: 16", "write `latents: {count: 4, width: 16}`"),
        ("count: 4,", "count: 4},", "remove one `}`, or open one bracket more before"),
        ("process: {", "process: [", "closed by the one of its kind, `{...}` and `[...]`"),
        ("name: usual", "name: 'usual", "write `name: 'usual'`"),
        ("name: usual", 'name: "usual', 'write `name: "usual"`'),
        (
            "latents: {count: 4, width: 16}",
            "latents:\n\tcount: 4\n\twidth: 16",
            "indent with spaces",
        ),
    ],
)
def test_what_is_answered(old: str, new: str, wanted: str) -> None:
    answer, *_ = answers(old, new)  # sizes that are wrong with what was meant come after it
    assert wanted in answer


def test_a_patch_of_all_axes_where_it_divides_them() -> None:
    found = fault(
        lambda: pg.compile(SPEC.replace("channel: 8}", "channel: 8}, steps: [{patch: 5}]"))
    )
    assert found.help == "write `patch: {view: 5, height: 5, width: 5}`"
