"""One program on many files: on the processes of this machine, or on a cluster that somebody else runs.

What an item is, what becomes of it and what is done already, is said once (`job`, `items`, `ledger`);
an engine only brings items to workers and what became of them back.
"""

from perceiver_graph.cluster.batch import Totals, run_batch

__all__ = ["Totals", "run_batch"]
