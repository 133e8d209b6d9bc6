"""Files that models are run on: small sound ones of every format, damaged."""

from __future__ import annotations

import io
import random
import struct
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from tests.fuzz.case import Commands, Files
from tests.fuzz.damage import damaged, scrambled
from tests.fuzz.targets.models import artifact
from tests.media_files import wav
from tests.media_support import encode, grey, tone

_SCRAPS = [
    "nan",
    "inf",
    "1e999",
    "-",
    ",",
    ";",
    " ",
    "\t",
    "\n",
    '"',
    "x,y,z",
    "0x1",
    "1_0",
    "9" * 40,
    "\0",
    "é",
]
_TEXTS = {".csv", ".xyz", ".pts", ".off", ".txt", ".ply", ".pcd"}
_ROWS = [(i * 0.5, i % 3, -i) for i in range(12)]


class Target:
    """Run the model of a file's kind on it."""

    name = "media"

    def bases(self) -> Mapping[str, Files]:
        """A file of every format that is read, by `MODEL NAME`."""
        return _bases()

    def step(self, files: Files, chance: random.Random) -> Files:
        """A change of the file."""
        ((name, content),) = files.items()
        if Path(name).suffix in _TEXTS and chance.random() < 0.7:
            return {name: scrambled(content, _SCRAPS, chance)}
        return {name: damaged(content, chance)}

    def commands(self, base: str, files: Files, chance: random.Random) -> Commands:
        """Into a folder that goes with the case."""
        model, name = base.split(" ")
        return [["run", str(artifact(model)), name, "-o", "out", "--device", "cpu"]]


@cache
def _bases() -> Mapping[str, Files]:
    found = _pictures() | _sounds() | _clips() | _points() | _tables()
    found["text a.txt"] = "Grüße and [MASK*3] bytes\n".encode()
    return {name: {name.split(" ")[1]: content} for name, content in found.items()}


def _pictures() -> dict[str, bytes]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {}
    for name, options in {
        "a.png": {},
        "a.jpg": {"exif": exif.tobytes()},
        "a.bmp": {},
        "a.tiff": {},
        "a.webp": {"exif": exif.tobytes()},
        "a.gif": {"save_all": True, "append_images": [image.rotate(90)]},
    }.items():
        file = io.BytesIO()
        image.save(file, {"jpg": "jpeg"}.get(name[2:], name[2:]), **options)  # type: ignore[arg-type]
        found[f"picture {name}"] = file.getvalue()
    return found


def _encoded(name: str, **options: object) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        encode(path, **options)  # type: ignore[arg-type]
        return path.read_bytes()


def _sounds() -> dict[str, bytes]:
    samples = tone(0.12, rate=16_000)
    found = {"sound a.wav": wav(samples)}
    for name, codec in (
        ("a.flac", "flac"),
        ("a.mp3", "mp3"),
        ("a.ogg", "flac"),
        ("a.aiff", "pcm_s16be"),
    ):
        found[f"sound {name}"] = _encoded(
            name, samples=samples, sample_rate=16_000, codecs=("", codec)
        )
    return found


def _clips() -> dict[str, bytes]:
    frames, samples = [grey(i, 16, 16) for i in range(4)], tone(0.16)
    return {
        f"clip {name}": _encoded(name, frames=frames, samples=samples)
        for name in ("a.mp4", "a.mkv")
    }


def _points() -> dict[str, bytes]:
    rows = "".join(f"{x} {y} {z}\n" for x, y, z in _ROWS)
    count = len(_ROWS)
    fields = "".join(f"property float {axis}\n" for axis in "xyz")
    binary = b"".join(struct.pack("<3f", *row) for row in _ROWS)
    ply = f"ply\nformat {{}} 1.0\nelement vertex {count}\n{fields}end_header\n"
    pcd = (
        "# .PCD v.7\nVERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
        f"WIDTH {count}\nHEIGHT 1\nPOINTS {count}\nDATA {{}}\n"
    )
    return {
        "points a.xyz": rows.encode(),
        "points a.csv": ("x,y,z\n" + rows.replace(" ", ",")).encode(),
        "points a.pts": f"{count}\n{rows}".encode(),
        "points a.off": f"OFF\n{count} 0 0\n{rows}".encode(),
        "points a.ply": (ply.format("ascii") + rows).encode(),
        "points b.ply": ply.format("binary_little_endian").encode() + binary,
        "points a.pcd": (pcd.format("ascii") + rows).encode(),
        "points b.pcd": pcd.format("binary").encode() + binary,
        "points a.npy": _npy(),
    }


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(_ROWS, np.float32))
    return file.getvalue()


def _tables() -> dict[str, bytes]:
    file = io.BytesIO()
    np.savez(file, rows=np.array(_ROWS, np.float32))
    packed = io.BytesIO()
    np.savez_compressed(packed, rows=np.array(_ROWS), attention_mask=np.ones(len(_ROWS), bool))
    text = "a,b,c\n" + "".join(",".join(map(str, row)) + "\n" for row in _ROWS)
    return {
        "table a.npz": file.getvalue(),
        "table b.npz": packed.getvalue(),
        "table a.npy": _npy(),
        "table a.csv": text.encode(),
    }
