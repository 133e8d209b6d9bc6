"""Picture files: upright whatever EXIF says, whole or refused, and no value of unknown meaning."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from perceiver_graph.media.files.pictures import read_picture
from tests.media_support import code_of
from tests.tiny import fault

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


def pixels(path: Path, **options: Any) -> NDArray[np.uint8]:
    return read_picture(path, **options)[0]


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    """A picture that JPEG keeps as it is, more or less."""
    ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))
    return np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2).astype(np.uint8)


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x010F] = "maker"
    found[0x011A] = 72.0
    found[0x0128] = 2
    details = found.get_ifd(0x8769)
    details[0x829A] = 0.25
    details[0x9000] = b"0231"
    return found


# Upright -----------------------------------------------------------------------------------------


def upright(grey: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """What the standard says that row 0 and column 0 of the stored picture are."""
    if orientation >= 5:  # left top, right top, right bottom, left bottom
        grey = grey.T
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return grey[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(GREY).convert("RGB").save(path, exif=exif(orientation), **options)
    np.testing.assert_array_equal(pixels(path)[..., 0], upright(GREY, orientation), strict=True)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(6, 400), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_exif_does_not_matter(suffix: str, damage: list[tuple[int, int]]) -> None:
    from tempfile import TemporaryDirectory

    block = bytearray(exif(6).tobytes())
    for place, value in damage:
        block[6 + (place - 6) % (len(block) - 6)] = value
    with TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        Image.fromarray(smooth(16, 24)).save(path, exif=bytes(block))
        assert pixels(path).shape in ((16, 24, 3), (24, 16, 3))


def entries(*rows: tuple[int, int, int, bytes], more: bytes = b"") -> bytes:
    body = b"".join(
        struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in rows
    )
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(rows)) + body + bytes(4) + more


TURN = (0x0112, 3, 1, struct.pack("<HH", 6, 0))


@pytest.mark.parametrize(
    "block",
    [
        # the maker of the camera as a rational, which is text by the standard
        entries(TURN, (0x010F, 5, 1, struct.pack("<I", 50)), more=struct.pack("<II", 1, 3)),
        entries(TURN, (0x0128, 4, 1, b"\xff" * 4)),  # 32 bits where 16 would be written back
        entries(TURN, (0x011A, 5, 0, bytes(4)), (0x0128, 3, 1, struct.pack("<HH", 2, 0))),
    ],
)
def test_a_turn_is_found_beside_damage(block: bytes, tmp_path: Path) -> None:
    Image.fromarray(smooth(16, 24)).save(tmp_path / "a.jpg", exif=block)
    Image.fromarray(smooth(16, 24)).save(tmp_path / "plain.jpg")
    wanted = np.rot90(pixels(tmp_path / "plain.jpg"), -1)
    np.testing.assert_array_equal(pixels(tmp_path / "a.jpg"), wanted, strict=True)


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "LA"])
def test_pictures_of_all_modes(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(GREY).convert(mode)
    image.save(tmp_path / "a.png")
    found, notes = read_picture(tmp_path / "a.png")
    assert not notes
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")), strict=True)


def test_16_bits_are_told(tmp_path: Path) -> None:
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "grey.png")
    found, (note,) = read_picture(tmp_path / "grey.png")
    np.testing.assert_array_equal(found[..., 2], GREY)
    assert "0 to 51400" in note
    lines = b"".join(b"\0" + row.tobytes() for row in np.full((2, 3, 3), 0x8001, ">u2"))
    (tmp_path / "rgb.png").write_bytes(png(3, 2, 16, 2, zlib.compress(lines)))
    found, (note,) = read_picture(tmp_path / "rgb.png")
    assert (found == 0x80).all()
    assert "16 bits" in note


@pytest.mark.parametrize(
    ("bits", "values"), [(8, GREY), (16, GREY.astype(np.uint16) * 257)], ids=["8 bits", "16 bits"]
)
def test_a_tiff_whose_0_is_white_is_a_negative(
    bits: int, values: NDArray[Any], tmp_path: Path
) -> None:
    Image.fromarray(values).save(tmp_path / "a.tiff")
    data = (tmp_path / "a.tiff").read_bytes()
    tag = struct.pack("<HHIHH", 262, 3, 1, 1, 0)  # Pillow writes that 0 is black
    assert data.count(tag) == 1
    (tmp_path / "a.tiff").write_bytes(data.replace(tag, struct.pack("<HHIHH", 262, 3, 1, 0, 0)))
    found, notes = read_picture(tmp_path / "a.tiff")
    np.testing.assert_array_equal(found[..., 1], 255 - GREY)
    assert ("65535 is black and 0 white" in str(notes)) == (bits == 16)


def test_a_tiff_of_12_bits_is_as_bright_as_it_says(tmp_path: Path) -> None:
    values = GREY.astype(int) * 16 + 15
    rows = ["".join(f"{value:012b}" for value in row).ljust(40, "0") for row in values]
    data = b"".join(int(row, 2).to_bytes(5, "big") for row in rows)
    tags = {
        256: 3,
        257: 2,
        258: 12,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 2,
        279: 10,
    }
    head = b"II*\0" + struct.pack("<I", 18) + data + struct.pack("<H", len(tags))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    (tmp_path / "a.tiff").write_bytes(head + entries + bytes(4))
    found, (note,) = read_picture(tmp_path / "a.tiff")
    np.testing.assert_array_equal(found[..., 1], GREY)
    assert note.startswith("12 bits a value: 0 is black and 4095 white")
    assert "(its values: 15 to 3215)" in note


def test_whole_numbers_with_a_sign_are_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.tiff", tiffinfo={339: 2})
    code, text = code_of(lambda: read_picture(tmp_path / "a.tiff"))
    assert (code, "whole numbers with a sign" in text) == ("PG507", True)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIF picture"),
        (b'<?xml version="1.0"?>\n<svg/>', "an SVG drawing"),
        (b"<!DOCTYPE html><html>", "an XML or HTML document"),
        (b"%PDF-1.7", "a PDF document"),
        (bytes(128) + b"DICM", "a DICOM file"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(data: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    code, text = code_of(lambda: read_picture(tmp_path / "a.png"))
    assert code == "PG507"
    assert f"a.png is {name}" in text


def test_transparency_is_told(tmp_path: Path) -> None:
    colours = Image.new("RGBA", (3, 2), (10, 20, 30, 255))
    colours.putpixel((1, 1), (10, 20, 30, 0))
    colours.save(tmp_path / "a.png")
    Image.fromarray(GREY).convert("P").save(tmp_path / "b.png", transparency=0)
    found, notes = read_picture(tmp_path / "a.png")
    assert (found == (10, 20, 30)).all()
    assert notes == read_picture(tmp_path / "b.png")[1]
    assert "transparency" in notes[0]


def test_colours_for_print_are_told(tmp_path: Path) -> None:
    Image.new("CMYK", (3, 2), (0, 255, 255, 0)).save(tmp_path / "a.tiff")
    found, (note,) = read_picture(tmp_path / "a.tiff")
    assert (found == (255, 0, 0)).all()
    assert "CMYK" in note


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("a.tiff", np.array([[0.5, np.nan]], np.float32), "real numbers"),
        ("a.pfm", np.array([[0.5, np.inf]], np.float32), "real numbers"),
        ("a.tiff", np.array([[0, 70_000]], np.int32), "32 bits"),
        ("a.tiff", np.array([[-5, 7]], np.int32), "32 bits"),
    ],
)
def test_numbers_of_unknown_meaning_are_refused(
    name: str, values: NDArray[Any], text: str, tmp_path: Path
) -> None:
    Image.fromarray(values).save(tmp_path / name)
    found = fault(lambda: read_picture(tmp_path / name))
    assert found.code == "PG507"
    assert text in found.message
    assert "8-bit PNG" in (found.help or "")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".tiff", ".png"])
def test_the_first_of_several_pictures_is_read_and_that_is_told(
    suffix: str, tmp_path: Path
) -> None:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (0, 0, 200)))
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    path = tmp_path / f"a{suffix}"
    first.save(path, save_all=True, append_images=[second], **options)
    found, (note,) = read_picture(path)
    assert (found == (200, 0, 0)).all()
    assert "2 pictures" in note


# Whole or refused --------------------------------------------------------------------------------

KINDS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".jpg": {},
    ".progressive.jpg": {"progressive": True},
    ".webp": {},
    ".gif": {"save_all": True, "append_images": [Image.fromarray(smooth(48, 64)[::-1].copy())]},
    ".bmp": {},
    ".tiff": {},
    ".lzw.tiff": {"compression": "tiff_lzw"},
    ".jpeg.tiff": {"compression": "jpeg"},
    ".ppm": {},
    ".tga": {},
    ".jp2": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_is_cut_off_is_refused(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, cut = tmp_path / f"whole{kind}", tmp_path / f"cut{kind}"
    Image.fromarray(smooth(48, 64)).save(whole, **KINDS[kind])
    data = whole.read_bytes()
    assert pixels(whole).shape == (48, 64, 3)
    for share in (0.0, 0.02, 0.1, 0.5, 0.9):
        cut.write_bytes(data[: int(share * len(data))])
        assert fault(lambda: read_picture(cut)).code == "PG507"
    assert capfd.readouterr() == ("", "")  # libraries write to stderr what they find wrong


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ".tga"])
def test_a_picture_that_lacks_a_byte_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{kind}"
    Image.fromarray(smooth(48, 64)).save(path, **KINDS[kind])
    path.write_bytes(path.read_bytes()[:-1])
    found = fault(lambda: read_picture(path))
    assert found.code == "PG507"
    assert " is a picture" not in found.message


def test_a_png_with_one_wrong_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(smooth(48, 64)).save(path)
    data = path.read_bytes()
    for place in range(0, len(data) - 4, 7):  # but for the sum over the name of the end
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        assert fault(lambda: read_picture(path)).code == "PG507"


def test_a_gif_without_its_last_frame_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    Image.fromarray(smooth(48, 64)).save(path, **KINDS[".gif"])
    path.write_bytes(path.read_bytes()[:-1])  # the trailer
    assert "after frame 2" in fault(lambda: read_picture(path)).message


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize("side", [13_400, 100_000])
def test_a_header_that_promises_too_much_is_refused(side: int, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(side, side, 8, 2, zlib.compress(bytes(100))))
    found = fault(lambda: read_picture(tmp_path / "a.png"))
    assert found.code == "PG507"
    assert "at most 178,956,970 pixels" in found.message


def test_what_is_no_picture_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert fault(lambda: read_picture(path)).code == "PG512"
    assert "a folder" in fault(lambda: read_picture(tmp_path)).message
    path.write_bytes(b"")
    assert fault(lambda: read_picture(path)).message == f"{path} is empty (0 bytes)"
    path.write_text("not a picture")
    assert "not a picture" in fault(lambda: read_picture(path)).message
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # Ghostscript would run
    assert "not a picture" in fault(lambda: read_picture(path)).message


@pytest.mark.parametrize("name", ["f_%03d.png", "-y.png", "http:a.png", "a b\n.png", "*.png"])
def test_what_is_read_is_what_was_named(name: str, tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "f_001.png")
    Image.fromarray(GREY[:1]).save(tmp_path / name)
    assert pixels(tmp_path / name).shape == (1, 3, 3)


# Memory ------------------------------------------------------------------------------------------


def test_a_picture_that_takes_too_much_is_refused_with_what_would_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (900, 400)).save(path)
    assert pixels(path, room=6_480_000).shape == (400, 900, 3)
    found = fault(lambda: read_picture(path, room=1_620_000, least=16))
    assert found.code == "PG510"
    assert "900 x 400 pixels" in found.message
    assert "450 x 200 pixels" in (found.help or "")


def test_a_jpeg_is_decoded_at_a_part_of_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    whole = smooth(400, 800)
    Image.fromarray(whole).save(path)
    found, (note,) = read_picture(path, room=800_000, least=100)
    assert found.shape == (100, 200, 3)
    assert "1/4 of its 800 x 400 pixels" in note
    means = whole.reshape(100, 4, 200, 4, 3).mean(axis=(1, 3))
    assert np.abs(found - means).max() < 6
    assert fault(lambda: read_picture(path, room=800_000, least=101)).code == "PG510"


MEASURED = """
import sys
from perceiver_graph.media.image.resizing import centred, resized
from perceiver_graph.media.files.pictures import _takes, open_picture, read_picture

def most():
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])

read_picture(sys.argv[1])
before = most()
pixels, _ = read_picture(sys.argv[2])
height, width = pixels.shape[:2]
resized(pixels, centred(height, width, (224, 224), 0.875), (224, 224))
with open_picture(sys.argv[2]) as image:
    print(most() - before, _takes(image, width * height))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_reading_takes_no_more_than_is_counted(suffix: str, tmp_path: Path) -> None:
    for name, side in (("small", 16), ("large", 1600)):
        image = Image.fromarray(smooth(side, side))
        image.save(tmp_path / f"{name}{suffix}", exif=exif(6))
    paths = [str(tmp_path / f"{name}{suffix}") for name in ("small", "large")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *paths], capture_output=True, text=True, check=True
    )
    took, counted = map(int, done.stdout.split())
    assert 0.3 * counted < took < counted
