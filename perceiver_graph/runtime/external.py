"""The files that ONNX programs take weights from: those that the manifest lists, and no others.

onnxruntime opens whatever a tensor names, and of what no manifest lists nobody knows the digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.spec.manifest import Manifest


def check_references(directory: Path, manifest: Manifest, report: Report) -> None:
    """Report programs that name other files for their weights (PG404), or cannot be read (PG406)."""
    import onnx
    from google.protobuf.message import DecodeError

    for program in manifest.programs.values():
        path = directory / program.file
        try:
            model = onnx.load(path, format="protobuf", load_external_data=False)
        except (DecodeError, OSError) as error:
            message = f"{path} is no ONNX program: {error}"
            report.error("PG406", message, help="copy the whole folder again, or compile again")
            continue
        folder = PurePosixPath(program.file).parent
        for name in sorted(set(_locations(model))):
            place = folder / name
            if str(place) not in manifest.files or ".." in place.parts:
                report.error(
                    "PG404",
                    f"{path} takes weights from {quote(name)}, which the manifest does not list",
                    help="do not use this artifact: it tries to read files that are none of its own",
                )


def _locations(message: Any) -> Iterator[str]:
    """The files that tensors name, wherever in a message they are."""
    for field, value in message.ListFields():
        if field.name == "external_data":
            yield from (entry.value for entry in value if entry.key == "location")
        elif field.message_type is not None:
            for part in value if hasattr(value, "add") else (value,):
                yield from _locations(part)
