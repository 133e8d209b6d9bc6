"""The processor that programs run on."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""Features that add products of 8 bits in 32."""


@cache
def processor_features() -> frozenset[str]:
    """The features of this processor, as Linux calls them; none where that is not known."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # another operating system
        return frozenset()
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split() if found else ())
