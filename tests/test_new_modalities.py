"""Natural mistakes in specs of modalities that no example has: whoever follows what is advised, to the
letter, has a program that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import perceiver_graph as pg
from perceiver_graph.runtime import load
from perceiver_graph.runtime.random_inputs import random_inputs
from tests.followed import followed

REST = """
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  label: {query: {learned: {}}, head: {linear: 5}}
"""
JOINTS = """
perceiver: 1
name: arm
inputs:
  joints: {shape: {joint: 6, channel: 3}, position: {learned: {width: 5}}}
latents: {count: 4, width: 16}
process: {layers: 1, heads: 2}
outputs:
  torque: {query: {grid: {joint: 6}, position: {learned: {width: 8}}}, head: {linear: 1}}
"""
HEART = f"""
perceiver: 1
name: heart
inputs:
  ecg:
    shape: {{time: 64, channel: 12}}
    steps: [{{patch: {{time: 8}}}}]
    position: {{fourier: {{bands: 4}}}}
{REST}"""
TABLE = f"""
perceiver: 1
name: table
inputs:
  rows: {{shape: {{row: 8, channel: 4}}, position: none, media: {{table: {{}}}}}}
{REST}"""
DEPTH = f"""
perceiver: 1
name: depth
inputs:
  depth:
    shape: {{height: 16, width: 16, channel: 1}}
    steps: [{{patch: {{height: 4, width: 4}}}}]
    position: {{fourier: {{bands: 4}}}}
{REST}"""
CAMERAS = f"""
perceiver: 1
name: cameras
inputs:
  left:
    shape: {{height: 16, width: 16, channel: 3}}
    position: {{fourier: {{bands: 4}}}}
    media: {{image: {{}}}}
  right: {{like: left}}
join: {{padding: {{min: 4}}}}
{REST}"""
CLIP = f"""
perceiver: 1
name: clip
inputs:
  video:
    shape: {{time: 2, height: 16, width: 16, channel: 3}}
    steps: [{{patch: {{height: 4, width: 4}}}}]
    position: {{fourier: {{bands: 4}}}}
    media: {{video: {{rate: 25}}}}
  sound:
    shape: {{time: 1280, channel: 1}}
    steps: [{{patch: {{time: 16}}}}]
    position: {{fourier: {{bands: 4}}}}
    media: {{audio: {{rate: 16000}}}}
join: {{padding: {{min: 4}}}}
{REST}"""
IDS = f"""
perceiver: 1
name: segments
inputs:
  tokens:
    shape: {{token: 12, channel: 2}}
    steps: [{{embedding: {{vocabulary: {{word: 100, segment: 2}}, width: 16}}}}]
    position: {{learned: {{}}, combine: add}}
{REST}"""

MISTAKES = [
    # joints
    (JOINTS, "shape: {joint: 6, channel: 3}", "shape: [6, 3]"),
    (JOINTS, "shape: {joint: 6, channel: 3}", "shape: 18"),
    (JOINTS, "shape: {joint: 6, channel: 3}", "shape: {joints: 6, channels: 3}"),
    (JOINTS, "position: {learned: {width: 5}}", "position: {learned: 5}"),
    (JOINTS, "position: {learned: {width: 5}}", "position: learned"),
    (JOINTS, "{grid: {joint: 6}, position: {learned: {width: 8}}}", "{joint: 6}"),
    (JOINTS, "{grid: {joint: 6}, position: {learned: {width: 8}}}", "{grid: {joint: 6}}"),
    (JOINTS, "{grid: {joint: 6}, position: {learned: {width: 8}}}", "{mean: joints}"),
    (JOINTS, "{grid: {joint: 6}, position: {learned: {width: 8}}}", "joints"),
    (JOINTS, "head: {linear: 1}", "head: {dense: 1}"),
    (JOINTS, "head: {linear: 1}", "head: {regression: 1}"),
    (JOINTS, "latents: {count: 4, width: 16}\n", ""),
    (JOINTS, "process: {layers: 1, heads: 2}\n", ""),
    # electrocardiograms
    (HEART, "[{patch: {time: 8}}]", "[{patch: 8}]"),
    (HEART, "[{patch: {time: 8}}]", "[patch]"),
    (HEART, "[{patch: {time: 8}}]", "[{patch: {time: 7}}]"),
    (HEART, "[{patch: {time: 8}}]", "[{conv: {channels: 8}}]"),
    (HEART, "[{patch: {time: 8}}]", "[{conv1d: {channels: 8, kernel: 5}}]"),
    (HEART, "[{patch: {time: 8}}]", "[{conv: 8}]"),
    (
        HEART,
        "position: {fourier: {bands: 4}}",
        "position: {fourier: {num_bands: 4}}\n    leads: 12",
    ),
    (HEART, "head: {linear: 5}", "head: {classes: 5}"),
    (HEART, "head: {linear: 5}", "head: {softmax: 5}"),
    (HEART, "head: {linear: 5}", "classes: 5"),
    # tables
    (TABLE, "media: {table: {}}", "media: {csv: {}}"),
    (TABLE, "media: {table: {}}", "media: csv"),
    (TABLE, "media: {table: {}}", "media: {table: {header: true}}"),
    (TABLE, "shape: {row: 8, channel: 4}", "columns: 4"),
    (TABLE, "shape: {row: 8, channel: 4}", "shape: {row: 8, column: 4}"),
    # depth
    (DEPTH, "channel: 1}", "channel: 1}\n    media: {depth: {}}"),
    (DEPTH, "height: 16, width: 16, channel: 1", "height: 16, width: 16"),
    (DEPTH, "{height: 16, width: 16, channel: 1}", "16x16"),
    (DEPTH, "{patch: {height: 4, width: 4}}", "{patch: {size: 4}}"),
    # two cameras
    (CAMERAS, "{like: left}", "left"),
    (CAMERAS, "{like: left}", "{like: left, position: {fourier: {bands: 4}}}"),
    (CAMERAS, "{like: left}", "{same_as: left}"),
    (CAMERAS, "{like: left}", "{}"),
    (CAMERAS, "media: {image: {}}", "media: image"),
    (CAMERAS, "media: {image: {}}", "media: {png: {}}"),
    # film with sound
    (CLIP, "video: {rate: 25}", "video: {fps: 25}"),
    (CLIP, "audio: {rate: 16000}", "wav: {}"),
    (CLIP, "audio: {rate: 16000}", "audio: {sample_rate: 16000}"),
    (CLIP, "join: {padding: {min: 4}}", "join: concat"),
    (CLIP, "join: {padding: {min: 4}}", ""),
    (CLIP, "{padding: {min: 4}}", "{padding: 4}"),
    # ids with the numbers of segments
    (IDS, "vocabulary: {word: 100, segment: 2}", "vocabulary: [100, 2]"),
    (IDS, "vocabulary: {word: 100, segment: 2}", "vocab_size: 100"),
    (IDS, "vocabulary: {word: 100, segment: 2}, width: 16", "vocabulary: {word: 100, segment: 2}"),
    (IDS, "{learned: {}, combine: add}", "{learned: {}, combine: sum}"),
    (IDS, "{learned: {}, combine: add}", "{learned: {}, add: true}"),
    (IDS, "query: {learned: {}}", "query: {mean: tokens}"),
    (IDS, "query: {learned: {}}", "query: {cls: {}}"),
    # whole parts
    (HEART, REST, "outputs:\n"),
    (HEART, REST, ""),
    (
        IDS,
        "outputs:\n  label: {query: {learned: {}}, head: {linear: 5}}\n",
        "outputs: {label: {}}\n",
    ),
]


@pytest.mark.parametrize(("spec", "right", "wrong"), MISTAKES)
def test_what_is_advised_runs(spec: str, right: str, wrong: str, tmp_path: Path) -> None:
    assert right in spec
    better, advice = followed(spec.replace(right, wrong, 1))
    assert advice, "it was no mistake"
    pg.compile(better).save(tmp_path)
    program = load(tmp_path)
    assert program.run(random_inputs(program.manifest, {}).arrays)
