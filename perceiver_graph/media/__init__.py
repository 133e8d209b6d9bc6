"""The kinds of media: what each of them is, what it fits, and what reads and writes it."""

import perceiver_graph.spec.models  # noqa: F401 - first, since it is made of the models here
