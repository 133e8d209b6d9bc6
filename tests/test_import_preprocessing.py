"""preprocessor_config.json of every age: the pixels of transformers, or a note that says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import PerceiverImageProcessorPil

from perceiver_graph.compiler.importing import import_checkpoint
from perceiver_graph.compiler.importing.preprocessing import Preprocessing
from perceiver_graph.media.image.model import ImageMedia
from perceiver_graph.media.image.reader import ImageReader
from perceiver_graph.spec.manifest import InputEntry
from tests.import_support import model, save

OLD = {
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "PerceiverFeatureExtractor",
    "resample": 3,
}


SHADES = [("shades", 2), ("tint", 3)]


def ours(media: dict[str, Any], size: tuple[int, int], path: Path) -> Any:
    """The array that `run` makes of a picture, [height, width, 3]."""
    entry = InputEntry.model_validate(
        {
            "dtype": "float32",
            "axes": ["batch", "height", "width", "channel"],
            "shape": ["batch", *size, 3],
            "mask": "never",
            "media": media,
        }
    )
    (piece,) = ImageReader("image", entry, {}).open([str(path)]).pieces()
    return piece.arrays["image"][0]


def theirs(config: dict[str, Any], path: Path) -> Any:
    processor = PerceiverImageProcessorPil.from_dict(config)
    found = processor(images=Image.open(path), return_tensors="np")["pixel_values"]
    return np.asarray(found)[0].transpose(1, 2, 0)


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(noise).resize((320, 241), 3).save(path)
    return path


EXACT: dict[str, dict[str, Any]] = {
    "of 2021": OLD | {"size": 224, "crop_size": 256},
    "integers": OLD | {"size": 112, "crop_size": 128},
    "integers of another share": OLD | {"size": 64, "crop_size": 100},
    "mappings": {"size": {"height": 64, "width": 64}, "crop_size": {"height": 99, "width": 99}},
    "the whole square": {"size": 64, "crop_size": 64},
    "mean": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    "one mean for all": {"image_mean": 0.5, "image_std": 0.25},
    "no crop": {"do_center_crop": False},
    "not normalised": {"do_normalize": False},
    "not scaled": {"do_rescale": False},
    "not scaled nor normalised": {"do_rescale": False, "do_normalize": False},
    "scaled to -1 and 1": {"rescale_factor": 1 / 127.5, "image_mean": 1.0, "image_std": 1},
    "another factor": {"rescale_factor": 0.001},
    "bilinear": {"resample": 2},
    "nearest": {"resample": 0},
    "lanczos": {"resample": 1},
    "box": {"resample": 4},
    "hamming": {"resample": 5},
}


@pytest.mark.parametrize("name", EXACT)
def test_pixels_are_those_of_transformers(name: str, picture: Path) -> None:
    config = EXACT[name]
    found = Preprocessing(config)
    size = found.size() or (224, 224)
    wanted = theirs(config, picture)
    values = ours(found.media(size), size, picture)
    np.testing.assert_allclose(values, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    # The filter is said, so that nobody takes it for the usual one; everything else just holds.
    assert all("filter" in note for note in found.notes)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(0, 300), st.integers(1, 700), st.integers(1, 700))
def test_what_is_cut_out_is_what_transformers_cuts_out(
    size: int, more: int, height: int, width: int
) -> None:
    from perceiver_graph.media.image.resizing import centred

    share = Preprocessing({"size": size, "crop_size": size + more}).media((size, size))
    region = centred(height, width, (size, size), share["image"].get("crop", 0.875))
    side = max(1, int(size / (size + more) * min(height, width)))
    assert (region.height, region.width) == (side, side)
    assert (region.top, region.left) == ((height - side) // 2, (width - side) // 2)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"do_resize": False}, "`do_resize` is false"),
        ({"size": {"shortest_edge": 224}}, "`size`"),
        ({"size": "224"}, "`size`"),
        ({"size": True}, "`size`"),
        ({"size": 300, "crop_size": 256}, "not padded"),
        ({"size": {"height": 64, "width": 48}}, "not square"),
        ({"resample": 9}, "`resample`"),
        ({"resample": "bicubic"}, "`resample`"),
        ({"rescale_factor": 0}, "`rescale_factor`"),
        ({"rescale_factor": -1}, "`rescale_factor`"),
        ({"image_mean": [0.5]}, "`image_mean`"),
        ({"image_std": 0}, "`image_std`"),
        ({"image_std": [1, 1, float("nan")]}, "`image_std`"),
        ({"do_normalize": "no"}, "`do_normalize`"),
        ({"crop_pct": 0.9}, "`crop_pct`"),
        ({"do_pad": True}, "`do_pad`"),
        ({"image_processor_type": "CLIPImageProcessor"}, "CLIPImageProcessor"),
        ({"feature_extractor_type": "ViTFeatureExtractor"}, "ViTFeatureExtractor"),
    ],
)
def test_what_is_not_followed_is_noted(config: dict[str, Any], text: str) -> None:
    found = Preprocessing(config)
    ImageMedia.model_validate(found.media((64, 64)))
    (note,) = found.notes
    assert text in note


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*OLD, "size", "crop_size", "image_mean", "image_std", "rescale_factor"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["height", "width"]), inner)
            ),
            max_leaves=5,
        ),
    )
)
def test_any_file_gives_media_that_a_spec_takes(config: dict[str, Any]) -> None:
    found = Preprocessing(config)
    ImageMedia.model_validate(found.media(found.size() or (224, 224)))


def test_importing_tells_what_was_not_followed(tmp_path: Path) -> None:
    folder = save(model("ImageClassificationFourier"), tmp_path / "m")
    assert import_checkpoint(folder).notes == []
    (folder / "preprocessor_config.json").write_text(json.dumps(OLD | {"size": 48, "tint": 3}))
    config = json.loads((folder / "config.json").read_text())
    config |= {"qk_norm": True, "pruned_heads": {"0": [1]}, "layer_norm_eps": 1e-5}
    (folder / "config.json").write_text(json.dumps(config))
    made = import_checkpoint(folder)
    assert yaml.safe_load(made.spec_text)["inputs"]["image"]["shape"]["height"] == 48
    notes = "\n".join(made.notes)
    assert [word in notes for word in ("`tint`", "`qk_norm`", "`pruned_heads`")] == [True] * 3
    assert "layer_norm_eps" not in notes


def test_settings_of_several_processors_are_read(tmp_path: Path) -> None:
    """As transformers 5 writes and reads them; what is not followed is told with its file."""
    folder = save(model("ImageClassificationFourier"), tmp_path / "m")
    nested = {"image_processor": OLD | {"size": 48, "image_mean": [0.25, 0.5, 0.75], "tint": 3}}
    for file in ("preprocessor_config.json", "processor_config.json"):
        (folder / file).write_text(json.dumps(nested | {"processor_class": "P", "shades": 2}))
        made = import_checkpoint(folder)
        image = yaml.safe_load(made.spec_text)["inputs"]["image"]
        assert image["shape"]["height"] == 48
        assert image["media"]["image"]["mean"] == [0.25, 0.5, 0.75]
        told = [f"{file}: `{key}` (`{n}`) is not known here, and not followed" for key, n in SHADES]
        assert sorted(made.notes) == sorted(told)
        (folder / file).unlink()


def test_of_two_files_that_is_read_which_transformers_reads(tmp_path: Path) -> None:
    folder = save(model("ImageClassificationFourier"), tmp_path / "m")
    (folder / "processor_config.json").write_text(
        json.dumps({"image_processor": OLD | {"image_mean": [0.25, 0.5, 0.75]}})
    )
    (folder / "preprocessor_config.json").write_text(json.dumps(OLD | {"image_mean": [0, 0, 0]}))
    made = import_checkpoint(folder)
    theirs = PerceiverImageProcessorPil.from_pretrained(folder)
    assert yaml.safe_load(made.spec_text)["inputs"]["image"]["media"]["image"]["mean"] == list(
        theirs.image_mean
    )
    (note,) = made.notes
    assert note.startswith("preprocessor_config.json: says something else and was not read")
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "P"}))
    image = yaml.safe_load(import_checkpoint(folder).spec_text)["inputs"]["image"]
    assert image["media"]["image"]["mean"] == [0, 0, 0]


def test_a_file_that_a_model_does_not_use_is_noted(tmp_path: Path) -> None:
    folder = save(model("OpticalFlow"), tmp_path / "m")
    (folder / "preprocessor_config.json").write_text(json.dumps(OLD))
    (note,) = import_checkpoint(folder).notes
    assert "was not read" in note
