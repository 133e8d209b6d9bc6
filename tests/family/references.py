"""All systems that are compared with a module of a library."""

from __future__ import annotations

from tests.family import (
    aurora,
    chatterbox,
    flamingo,
    hunyuan,
    idefics,
    ip_adapter,
    perceiver_ar,
    perceiver_pytorch,
    poyo,
    xtts,
)

REFERENCES = (
    *ip_adapter.REFERENCES,
    *flamingo.REFERENCES,
    *idefics.REFERENCES,
    *xtts.REFERENCES,
    *chatterbox.REFERENCES,
    *perceiver_pytorch.REFERENCES,
    *hunyuan.REFERENCES,
    *perceiver_ar.REFERENCES,
    *aurora.REFERENCES,
    *poyo.REFERENCES,
)
"""In the order of the table of systems."""
