"""What single libraries call the parameters: a file each."""

from perceiver_graph.compiler.weights.tables import (
    aria,
    aurora,
    braindecode,
    hy3dgen,
    peract,
    perceiver_ar,
    tabicl,
    torch_brain,
)

SINGLE = (
    *aria.SYSTEMS,
    *aurora.SYSTEMS,
    *hy3dgen.SYSTEMS,
    *peract.SYSTEMS,
    *perceiver_ar.SYSTEMS,
    *torch_brain.SYSTEMS,
    *tabicl.SYSTEMS,
    *braindecode.SYSTEMS,
)
"""All of them, in the order in which they are looked for."""
