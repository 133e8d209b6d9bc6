"""All systems that are compared with a module of a library."""

from __future__ import annotations

from tests.family import chatterbox, flamingo, idefics, ip_adapter, perceiver_pytorch, xtts

REFERENCES = (
    *ip_adapter.REFERENCES,
    *flamingo.REFERENCES,
    *idefics.REFERENCES,
    *xtts.REFERENCES,
    *chatterbox.REFERENCES,
    *perceiver_pytorch.REFERENCES,
)
"""In the order of the table of systems."""
