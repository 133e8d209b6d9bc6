"""What was found and done beside the work: through `logging`, and the command line prints it."""

from __future__ import annotations

import logging

LOGGER = "perceiver_graph"


def tell(text: str) -> None:
    """A note for whoever runs the program."""
    logging.getLogger(LOGGER).warning(text)
