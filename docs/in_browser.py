"""Makes what docs/browser.md runs on its reader's machine: `python docs/in_browser.py ENGINE -o FOLDER`.

ENGINE is a folder with the files of onnxruntime-web below. The folder has scripts alone, for a page that is
opened from the disk may read nothing else: the engine and the model are in one of them as base64.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import perceiver_graph as pg

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "recipes" / "text"
RUNNER = ROOT / "examples" / "browser" / "program.js"
SCRIPT = "ort.wasm.min.js"
PACKED = ("ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""What the script of the engine loads when it begins."""


def write(engine: Path, folder: Path) -> None:
    """Compile the model, and put it beside its engine."""
    with tempfile.TemporaryDirectory() as artifact:
        compiled = pg.compile(MODEL / "spec.yaml", target="onnx-standard")
        compiled.save(artifact, weights=MODEL / "weights.safetensors")
        files = {name: engine / name for name in PACKED}
        files |= {path.name: path for path in Path(artifact).iterdir()}
        del files["spec.yaml"]
        packed = {name: path.read_bytes() for name, path in sorted(files.items())}
    folder.mkdir(parents=True, exist_ok=True)
    for script in (engine / SCRIPT, RUNNER):
        shutil.copyfile(script, folder / script.name)
    (folder / "files.js").write_text(packed_script(packed), encoding="ascii")


def packed_script(files: Mapping[str, bytes]) -> str:
    """A script that leaves files in `perceiverFiles` by name, compressed by gzip, as base64."""
    texts = {
        name: base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")
        for name, content in files.items()
    }
    return f"globalThis.perceiverFiles = {json.dumps(texts, indent=0)};\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the folder that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", type=Path, metavar="ENGINE")
    parser.add_argument("-o", dest="folder", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(arguments)
    write(options.engine, options.folder)


if __name__ == "__main__":
    main()
