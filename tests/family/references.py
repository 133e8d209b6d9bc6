"""All systems that are compared with a module of a library."""

from __future__ import annotations

from tests.family import (
    aria,
    aurora,
    chatterbox,
    flamingo,
    hunyuan,
    idefics,
    ip_adapter,
    luna,
    peract,
    perceiver_ar,
    perceiver_pytorch,
    poyo,
    tabicl,
    xtts,
)

REFERENCES = (
    *ip_adapter.REFERENCES,
    *flamingo.REFERENCES,
    *idefics.REFERENCES,
    *aria.REFERENCES,
    *xtts.REFERENCES,
    *chatterbox.REFERENCES,
    *perceiver_pytorch.REFERENCES,
    *tabicl.REFERENCES,
    *peract.REFERENCES,
    *hunyuan.REFERENCES,
    *perceiver_ar.REFERENCES,
    *aurora.REFERENCES,
    *poyo.REFERENCES,
    *luna.REFERENCES,
)
"""In the order of the table of systems."""
