"""`perceiver-graph run`: an artifact on files, on texts or on arrays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceiver_graph.choices import DeviceKind, EngineName, Verify
from perceiver_graph.cli import attention as attentions
from perceiver_graph.cli import prepared, screen, usage, writing
from perceiver_graph.cli.checkpoints import published
from perceiver_graph.cli.options import (
    Debug,
    Decode,
    Device,
    Extensions,
    Names,
    Sizes,
    bytes_of,
    memory_of,
    threads_of,
)
from perceiver_graph.diagnostics.commands import option, shell
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.storage.files import unwritable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perceiver_graph.runtime.program import Program

Request = Mapping[str, slice | None] | None
_DEFAULT_FOLDER = Path("out")
_DEFAULT_ARCHIVE = Path("out.npz")
_FILES = frozenset(
    {".npz", ".npy", ".json", ".mp4", ".png", ".jpg", ".wav", ".flo", ".csv", ".txt"}
)
"""Endings of files, which nobody means a folder by."""


def run_command(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="A folder that `compile` has written, or a model of the Hugging Face hub, which is "
            "compiled once: deepmind/language-perceiver.",
            autocompletion=published,
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="What the model takes: video, sound, pictures, texts (`-` is standard input). "
            "INPUT=FILE says which input one is for, INPUT=FILE.npy gives an array to one that is read "
            "from no files.",
        ),
    ] = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs",
            metavar="IN.npz",
            help="Arrays by input name, batch first, instead of files or beside them "
            "(`-` is standard input).",
        ),
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Random inputs: to try a model without data.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            max=2**64 - 1,
            help="Of --random, and --generate [0].",
            metavar="NUMBER",
        ),
    ] = None,
    generate: writing.Generate = None,
    temperature: writing.Temperature = None,
    top_p: writing.TopP = None,
    top_k: writing.TopK = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="A folder for files [out], an .npz for arrays [out.npz].",
        ),
    ] = None,
    decode: Decode = None,
    size: Sizes = None,
    names: Names = None,
    attention: attentions.Folder = None,
    heads: attentions.Heads = False,
    device: Device = "auto",
    engine: Annotated[
        EngineName,
        typer.Option("--engine", help="What runs it. auto: what was measured to be the fastest."),
    ] = "auto",
    threads: Annotated[
        int | None, threads_of("Of the CPU [OMP_NUM_THREADS, else its cores].")
    ] = None,
    verify: Annotated[
        Verify,
        typer.Option(
            "--verify",
            help="Compare digests of the files each time, or once and again when a file has changed.",
        ),
    ] = "always",
    memory: Annotated[str | None, memory_of("Budget for reading a file, and for decoding")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say which engine runs it on what, and why.")
    ] = False,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Run a compiled model on files, on texts, on arrays, or on both; --random needs neither.
    With --generate, a causal model goes on with a text, or with ids.

    In a text, [MASK] stands for one missing byte and [MASK*9] for nine.
    """
    from perceiver_graph.runtime.bindings import parse_sizes
    from perceiver_graph.runtime.devices import hidden_gpu_build
    from perceiver_graph.runtime.program import load
    from perceiver_graph.runtime.queries import parse_decode

    sampling = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    others = {
        "--random": random,
        "--output": output,
        "--decode": decode,
        "--size": size,
        "--names": names,
        "--memory": memory,
        "--attention": attention,
    }
    writing.check_usage(generate, sampling, others, files, inputs)
    _check_usage(files, inputs, output, names, random, seed if generate is None else None)
    attentions.check_usage(attention, heads, output or (_DEFAULT_FOLDER if files else None))
    budget = bytes_of(memory)
    request = parse_decode(decode or ())
    sizes = parse_sizes(size or ())
    kind: DeviceKind = "cuda" if device == "cuda" else "cpu"
    folder = prepared.artifact(artifact, kind, attention=attention is not None)
    with screen.bar("checking files") as progress:
        program = load(
            folder,
            device=device,
            engine=engine,
            threads=threads,
            verify=verify,
            progress=progress,
        )
    if verbose:
        where = f"{program.device.name}, {program.device.threads} threads"
        screen.notes([f"{program.engine.title} on {where}: {program.why}"])
    if device == "auto":
        screen.notes(filter(None, [hidden_gpu_build()]))
    look = attentions.looking(program, attention, heads, request, sizes)
    if random:
        _run_random(program, seed or 0, output or _DEFAULT_ARCHIVE, request, sizes, budget, look)
        return
    from perceiver_graph.runtime.inputs import read_arrays

    manifest = program.manifest if generate is None else writing.manifest(program)
    arrays = read_arrays(inputs, manifest) if inputs is not None else {}
    if generate is not None:
        settings = sampling | {"seed": seed}
        if files:
            writing.write(program, files, arrays, generate, settings)
        else:
            writing.write_ids(program, arrays, generate, settings)
    elif files:
        place = output or _DEFAULT_FOLDER
        _run_files(program, files, arrays, place, request, sizes, budget, names or [], look)
    else:
        _run_arrays(
            program, arrays, inputs, output or _DEFAULT_ARCHIVE, request, sizes, budget, look
        )


def _check_usage(
    files: list[str] | None,
    inputs: Path | None,
    output: Path | None,
    names: list[str] | None,
    random: bool,
    seed: int | None,
) -> None:
    if not files and inputs is None and not random:
        raise usage.wrong(
            "there is nothing to run it on",
            f"give files or texts, arrays with {option('--inputs', 'IN.npz')}, or "
            f"{option('--random')} to try it without data",
        )
    if random and (files or inputs is not None):
        message = "with `--random` all inputs are random, and files or arrays are given"
        raise usage.wrong(message, f"leave out {option('--random')}, or the files and the arrays")
    if seed is not None and not random:
        message = "`--seed` is what random inputs are drawn from, and there are none"
        raise usage.wrong(message, f"leave it out, or add {option('--random')}")
    if files and output is not None and output.suffix in _FILES and not output.is_dir():
        message = "the results of files go to a folder, and `-o` names a file"
        raise usage.wrong(message, option("-o", output.with_suffix("")))
    if not files and output is not None and output.suffix != ".npz" and _is_name(output):
        message = "the results of arrays go to one archive, and `-o` does not name one"
        stem = output.stem if output.suffix.casefold() in _FILES else output.name
        raise usage.wrong(message, option("-o", output.with_name(f"{stem}.npz")))
    if files and inputs is not None and _is_among(inputs, files):
        message = "`--inputs` is among the files, too, and what comes from it can be read once only"
        raise usage.wrong(message, "name it in one place")
    if names and not files:
        message = "`--names` is for the results of files: those of arrays are numbers"
        raise usage.wrong(message, "give files, or leave it out")


def _is_name(output: Path) -> bool:
    """Whether a file would be called that: no folder, which is refused, and no device or pipe."""
    return not output.exists() or output.is_file()


def _is_among(inputs: Path, files: list[str]) -> bool:
    """Whether the arrays come through a pipe that is a file, too."""
    from perceiver_graph.runtime.opening import stream_key

    key = stream_key(str(inputs))
    named = (*files, *(one.partition("=")[2] for one in files))
    return key is not None and key in [stream_key(one) for one in named]


def _run_arrays(
    program: Program,
    arrays: Mapping[str, NDArray[Any]],
    inputs: Path | None,
    output: Path,
    request: Request,
    sizes: Mapping[str, int],
    memory: int | None,
    look: attentions.Looking | None = None,
) -> None:
    from perceiver_graph.runtime.inputs import write_arrays

    _require_place(output, inputs)
    notes: list[str] = []
    with screen.bar("decoding") as progress:
        results = program.run(
            arrays, request, sizes=sizes, memory=memory, progress=progress, note=notes.append
        )
    write_arrays(output, results)
    screen.notes(notes)
    screen.say(output)
    screen.arrays(results)
    if look is not None:
        look.arrays(arrays, output.stem)
        look.tell()


def _run_random(
    program: Program,
    seed: int,
    output: Path,
    request: Request,
    sizes: Mapping[str, int],
    memory: int | None,
    look: attentions.Looking | None = None,
) -> None:
    from perceiver_graph.runtime.random_inputs import random_inputs

    made = random_inputs(program.manifest, sizes, seed)
    _run_arrays(program, made.arrays, None, output, request, made.free, memory, look)
    values = "".join(f", {name} = {value}" for name, value in made.sizes.items())
    screen.say(f"of random inputs (seed {seed}{values})")
    screen.arrays(made.arrays)


def _require_place(output: Path, inputs: Path | None) -> None:
    """Refuse before the work what could not be written after it."""
    from perceiver_graph.runtime.written import refuse_others

    fault = None
    help = "choose another path: -o OUT.npz"
    if output.is_dir():
        fault = "it is a folder, and arrays go to an .npz file"
    elif not output.parent.is_dir():
        fault = f"there is no folder {quote(output.parent)}"
        help = f"make it: {shell('mkdir', '-p', output.parent)}; or {help}"
    elif inputs is not None and output.exists() and inputs.exists() and output.samefile(inputs):
        fault = "the inputs are read from it"
    if fault:
        raise unwritable(output, fault, help=help)
    refuse_others(output)


def _run_files(
    program: Program,
    files: list[str],
    arrays: Mapping[str, NDArray[Any]],
    output: Path,
    request: Request,
    sizes: Mapping[str, int],
    memory: int | None,
    names: list[str],
    look: attentions.Looking | None,
) -> None:
    from perceiver_graph.runtime.naming import read_names
    from perceiver_graph.runtime.run import run_files
    from perceiver_graph.runtime.written import note_of_others

    called = read_names(names, program.manifest)

    with screen.bar("running") as progress:
        found = run_files(
            program,
            files,
            output,
            request,
            arrays=arrays,
            sizes=sizes,
            memory=memory,
            names=called,
            progress=lambda subject, done, total: progress(done, total, Path(subject).name),
            look=None if look is None else partial(look.subject, more=arrays),
        )
    for result in found:
        screen.notes(result.told)
        for path in result.files:
            screen.say(path)
        for name, answer in result.answers.items():
            if answer.line is not None:
                screen.say(f"  {name}: {answer.line}")
    if look is not None:
        look.tell()
    screen.notes(note_of_others(output, {path.stem for one in found for path in one.files}))
