"""Files of several pictures one after the other: that there are others is told."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from perceiver_graph.media.files.pictures import read_picture

NOISE = np.random.default_rng(0).integers(0, 256, (33, 31, 3)).astype(np.uint8)


def picture(format: str, pixels: Any = NOISE, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


PICTURES = {
    "JPEG": picture("JPEG", quality=95),
    "JPEG in scans": picture("JPEG", progressive=True),
    "JPEG with restarts": picture("JPEG", restart_marker_blocks=1),
    "JPEG with a small one in EXIF": picture("JPEG", exif=b"Exif\0\0" + picture("JPEG")),
    "JPEG of one colour": picture("JPEG", np.full((2000, 2000), 255, np.uint8)),
    "PPM": picture("PPM"),
    "PPM of 16 bits": b"P6 # 16 bits\n1 2\n# deep\n65535\n" + bytes(12),
    "PGM": picture("PPM", NOISE[..., 0]),
    "PGM of 16 bits": picture("PPM", NOISE[..., 0].astype(np.uint16) * 257),
    "PBM": picture("PPM", Image.fromarray(NOISE[..., 0]).convert("1")),
    "BMP": picture("BMP"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_second_picture_is_told(name: str, tmp_path: Path) -> None:
    path, data = tmp_path / "one", PICTURES[name]
    note = f"a second picture begins at byte {len(data):,}: the first is read"
    for behind in (b"", b"\0" * 20, b"\xff", b"a text", data[:2]):
        path.write_bytes(data + behind)
        found, notes = read_picture(path)
        assert note not in notes
    for behind in (data, data[:40]):
        path.write_bytes(data + behind)
        assert note in read_picture(path)[1]
        np.testing.assert_array_equal(read_picture(path)[0], found)


def test_pictures_that_belong_together_are_not_told(tmp_path: Path) -> None:
    """A JPEG may say itself (MPF) that others follow: another size, or how bright it may be."""
    others = {"save_all": True, "append_images": [Image.fromarray(NOISE[:16, :16])]}
    (tmp_path / "one").write_bytes(picture("MPO", **others))
    assert read_picture(tmp_path / "one")[1] == ()
