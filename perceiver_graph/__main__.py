"""`python -m perceiver_graph` is the `perceiver-graph` command."""

from __future__ import annotations

import sys

from perceiver_graph.cli import main

if __name__ == "__main__":
    sys.exit(main())
