"""Tree shape: nodes, trees, difference, proofs of paths and of log records, index of a domain."""

from catfs.merkle.difference import diff
from catfs.merkle.directory import (
    build_directory,
    find_entries,
    find_entry,
    iterate_directory,
    update_directory,
)
from catfs.merkle.inclusion import PathProof, ProofError, prove_path
from catfs.merkle.index import (
    RACY_NS,
    IndexFacts,
    IndexReader,
    KnownDirectory,
    hidden_digest,
    index_name,
    row_ctime,
    stat_row,
)
from catfs.merkle.index_groups import STAT
from catfs.merkle.index_rows import build_known
from catfs.merkle.index_writer import IndexBusyError, IndexWriter
from catfs.merkle.log_tree import LogTree, RecordProof, leaf_hash, prove_record
from catfs.merkle.node_store import (
    LayeredNodes,
    MemoryNodes,
    MissingNodeError,
    NodeSource,
    NodeStore,
    RememberedNodes,
)
from catfs.merkle.nodes import EMPTY_DIRECTORY
from catfs.merkle.tree import PathError, Tree
from catfs.merkle.weak_root import weak_flat_root

__all__ = [
    "EMPTY_DIRECTORY",
    "RACY_NS",
    "STAT",
    "IndexBusyError",
    "IndexFacts",
    "IndexReader",
    "IndexWriter",
    "KnownDirectory",
    "LayeredNodes",
    "LogTree",
    "MemoryNodes",
    "MissingNodeError",
    "NodeSource",
    "NodeStore",
    "PathError",
    "PathProof",
    "ProofError",
    "RecordProof",
    "RememberedNodes",
    "Tree",
    "build_directory",
    "build_known",
    "diff",
    "find_entries",
    "find_entry",
    "hidden_digest",
    "index_name",
    "iterate_directory",
    "leaf_hash",
    "prove_path",
    "prove_record",
    "row_ctime",
    "stat_row",
    "update_directory",
    "weak_flat_root",
]
