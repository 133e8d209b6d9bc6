"""Where files are written: whole or not at all, and nothing of anybody else's is ever destroyed.

Compiler, runtime and command line write through this part and no other. It knows of folders and
digests only; what makes a folder an artifact, those who write artifacts tell it.
"""

from perceiver_graph.storage.claims import Claim, abandon
from perceiver_graph.storage.files import (
    Group,
    descriptor,
    is_here,
    staged_file,
    staged_group,
    unwritable,
)
from perceiver_graph.storage.folders import FolderKind, refuse_foreign, staged_folder
from perceiver_graph.storage.leftovers import sweep
from perceiver_graph.storage.listed import LISTING, listed_folder, write_listing
from perceiver_graph.storage.listing import Former, NotOurs, digest, is_plain, prove
from perceiver_graph.storage.notes import LOGGER, tell

__all__ = [
    "LISTING",
    "LOGGER",
    "Claim",
    "FolderKind",
    "Former",
    "Group",
    "NotOurs",
    "abandon",
    "descriptor",
    "digest",
    "is_here",
    "is_plain",
    "listed_folder",
    "prove",
    "refuse_foreign",
    "staged_file",
    "staged_folder",
    "staged_group",
    "sweep",
    "tell",
    "unwritable",
    "write_listing",
]
