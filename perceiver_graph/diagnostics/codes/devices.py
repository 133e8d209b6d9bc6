"""PG6xx: the machine that the model is to run on, and the command line."""

from __future__ import annotations

from perceiver_graph.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "PG601",
        "CUDA is not available",
        "`--device cuda` was asked for by name, so falling back to the CPU silently would be "
        "wrong. There is no usable GPU, its driver is too old, or the installed runtime package "
        "has no CUDA support: onnxruntime-gpu has it, in place of onnxruntime. Both write their "
        "files into one folder, so that having both installed is not enough: take both away, then "
        "install the one.",
        "$ perceiver-graph run build/kinetics video.mp4 --device cuda",
        "$ pip uninstall -y onnxruntime onnxruntime-gpu\n"
        "$ pip install onnxruntime-gpu\n"
        "$ perceiver-graph run build/kinetics video.mp4 --device cuda",
    ),
    Entry(
        "PG602",
        "precision not supported there",
        "The device has no kernels for the precision, or the model has numbers that it cannot "
        "hold. For `cpu` and `onnx-standard` there are fp32 and int8, for `cuda` fp32, fp16 and bf16, "
        "for `openvino`, which runs on CPUs, fp32 and bf16; the torch backend writes float32.",
        "$ perceiver-graph compile kinetics --precision bf16 --target cpu -o build/k",
        "$ perceiver-graph compile kinetics --precision bf16 --target openvino -o build/k",
    ),
    Entry(
        "PG603",
        "device is out of memory",
        "The device's memory ran out while the model was loaded or run. Use a smaller batch, or "
        "a memory budget that decodes in smaller chunks.",
        "$ perceiver-graph run build/kinetics --inputs batch_of_64.npz --device cuda",
        "$ perceiver-graph run build/kinetics --inputs batch_of_64.npz --device cuda --memory 8GB",
    ),
    Entry(
        "PG604",
        "model does not fit the memory",
        "`--memory` is what a run may take in all: the process, the weights, activations and "
        "attention scores, for one input at a time. The compiler decodes fewer queries at a time and "
        "attends a few queries at a time to stay below, but weights and activations that are needed "
        "at once cannot be made smaller. The message says what takes how much, and the least that "
        "works.",
        "$ perceiver-graph compile kinetics --memory 256MiB",
        "$ perceiver-graph compile kinetics --memory 1GiB",
    ),
    Entry(
        "PG605",
        "output cannot be written",
        "What a command prints, or a file that it needs for a while, could not be written: the disk "
        "behind it is full, a quota is used up, or it is read-only. Files that `-o` names have codes "
        "of their own (PG407, PG511). A stream that is closed is no error.",
        "$ perceiver-graph inspect kinetics > /full/disk/kinetics.txt",
        "$ perceiver-graph inspect kinetics > /another/disk/kinetics.txt",
    ),
    Entry(
        "PG606",
        "not for this user",
        "The system does not let this user read, enter or write what was named, because of the rights of "
        "it or of a folder on the way to it; `namei -l PATH` shows them. Name another place, or change "
        "them.",
        "$ perceiver-graph run /shared/build/kinetics video.mp4",
        "$ sudo chmod -R a+rX /shared/build/kinetics\n"
        "$ perceiver-graph run /shared/build/kinetics video.mp4",
    ),
    Entry(
        "PG607",
        "process forked from one that uses CUDA",
        "A forked process has a copy of the memory of its parent, but not what the parent started "
        "on the GPU, and a call would wait for it without end. Start processes anew (`spawn`) and "
        "load the program there; handed over to them, a program is loaded again by its path. On a "
        "CPU, a program runs in forked processes too: each makes a session of its own.",
        '>>> multiprocessing.get_context("fork").Pool(2).map(program.run, calls)',
        '>>> multiprocessing.get_context("spawn").Pool(2).map(program.run, calls)',
    ),
    Entry(
        "PG608",
        "engine is not available",
        "The engine that was asked for is not installed, or does not run programs on that device; or "
        "the artifact is in a precision that only an engine has which is not installed: bf16 on a CPU "
        "needs OpenVINO. Without `--engine`, onnxruntime runs whatever it can.",
        "$ perceiver-graph run build/kinetics video.mp4 --engine openvino",
        '$ pip install "perceiver-graph[openvino]"\n'
        "$ perceiver-graph run build/kinetics video.mp4 --engine openvino",
    ),
    Entry(
        "PG620",
        "wrong usage of a command",
        "There is no such command or option, an argument is missing or too many, a value is not one "
        "of those that an option takes, or options contradict each other. Nothing was read or "
        "written. `--help` after a command lists what it takes. The exit code is 2, where it is 1 "
        "for a spec, a file or an artifact that is wrong.",
        "$ perceiver-graph compile kinetics --backend tensorflow",
        "$ perceiver-graph compile kinetics --backend onnx",
    ),
)
