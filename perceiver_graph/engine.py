"""onnxruntime, imported in this one place so that its telemetry is off.

The wheels of onnxruntime collect events of every process that imports it (its path, the operating
system, an id of the device), write them to `~/.cache/Microsoft/DeveloperTools/.onnxruntime/` and upload
them where they can. It is off unless the variable below says otherwise.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

TELEMETRY = "ORT_DISABLE_TELEMETRY"


@cache
def onnxruntime() -> Any:
    """The module `onnxruntime`, imported when it is first needed.

    It reads the variable once, when it is imported: where somebody else has imported it before, it
    is told to stop.
    """
    wanted = os.environ.setdefault(TELEMETRY, "1") == "0"
    import onnxruntime

    if not wanted:
        onnxruntime.disable_telemetry_events()
    return onnxruntime


@cache
def failures() -> Any:
    """The module whose classes are the exceptions that onnxruntime raises."""
    onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state

    return onnxruntime_pybind11_state
