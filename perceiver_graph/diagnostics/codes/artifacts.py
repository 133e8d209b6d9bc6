"""PG4xx: the compiled folder, when it is written and when it is opened."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG401",
        "artifact is incomplete",
        "An artifact is a folder with a `manifest.json` and the files that the manifest lists. "
        "The folder, its manifest or one of the listed files is absent. Copy the whole folder, "
        "or compile again.",
        "$ perceiver-graph run kinetics.yaml video.mp4",
        "$ perceiver-graph compile kinetics -o build/kinetics\n"
        "$ perceiver-graph run build/kinetics video.mp4",
    ),
    Entry(
        "PG402",
        "file differs from its digest",
        "The manifest records the SHA-256 digest of every file. This file has changed since it "
        "was compiled, or was not copied completely; or the folder was replaced after a program was "
        "loaded from it, which then has to be loaded again. Artifacts are not edited in place: change "
        "the spec and compile again.",
        "$ perceiver-graph run edited_by_hand video.mp4",
        "$ perceiver-graph compile kinetics -o build/kinetics\n"
        "$ perceiver-graph run build/kinetics video.mp4",
    ),
    Entry(
        "PG403",
        "manifest cannot be read",
        "`manifest.json` is not valid JSON, or lacks keys that it must have. It is written by "
        "`perceiver-graph compile` and is not meant to be edited.",
        '$ echo "{" > build/kinetics/manifest.json',
        "$ perceiver-graph compile kinetics -o build/kinetics",
    ),
    Entry(
        "PG404",
        "path leaves the artifact",
        "The manifest lists a file by an absolute path or by a path with `..`, or a program takes "
        "weights from a file that the manifest does not list. Such a file is never "
        "opened: an artifact from elsewhere could otherwise read any file. A file of the folder may be "
        "a link, as in the cache of a hub: its contents must have the digest of the manifest.",
        '$ grep path manifest.json\n  "path": "../../etc/passwd"',
        '$ grep path manifest.json\n  "path": "encode.onnx"',
    ),
    Entry(
        "PG405",
        "artifact format is too new",
        "The artifact was compiled by a newer release, in a format that this release does not "
        "know. Update the package, or compile the spec again with this release: the artifact "
        "contains it as `spec.yaml`.",
        "$ perceiver-graph run compiled_by_a_newer_release video.mp4",
        "$ perceiver-graph compile compiled_by_a_newer_release/spec.yaml -o build/again",
    ),
    Entry(
        "PG406",
        "backend cannot do this",
        "The artifact or the compile command asks for a backend that cannot do what is asked: "
        "`run` executes ONNX artifacts, while an artifact with PyTorch source only is for "
        "training and is imported in Python.",
        "$ perceiver-graph compile kinetics --backend torch -o build/k\n"
        "$ perceiver-graph run build/k video.mp4",
        "$ perceiver-graph compile kinetics --backend all -o build/k\n"
        "$ perceiver-graph run build/k video.mp4",
    ),
    Entry(
        "PG407",
        "artifact cannot be written",
        "The target folder cannot be created or replaced: permission is missing, the disk is full, "
        "or it exists and is not proven to be ours. Proven means: the digests of a manifest (or, of an "
        "import, those in its weights) are those of the files. A folder of something else is never "
        "replaced, nor is a file that was changed since it was written. Files that no manifest lists "
        "stay where they are. An artifact with trained weights is not replaced by one with initial ones, "
        "unless `--seed` asks for those. Nothing was left half-written.",
        "$ perceiver-graph compile kinetics -o /",
        "$ perceiver-graph compile kinetics -o build/kinetics",
    ),
    Entry(
        "PG413",
        "program is not the one described",
        "A program of the artifact takes or gives other tensors than the manifest says, or fails "
        "when it runs, although its digest is right: the artifact was put together by hand, or by a "
        "program with a fault. It is not run any further.",
        "$ cp build/flow/encode.onnx build/kinetics/ && python update_digests.py build/kinetics",
        "$ perceiver-graph compile build/kinetics/spec.yaml -o build/again",
    ),
)
