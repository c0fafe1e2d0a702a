"""Tree shape: nodes, trees, their difference, proofs of inclusion and absence, the tree over a log, packs."""

from catfs.merkle.difference import diff
from catfs.merkle.directory import (
    build_directory,
    find_entries,
    find_entry,
    iterate_directory,
    update_directory,
)
from catfs.merkle.inclusion import PathProof, ProofError, prove_path
from catfs.merkle.log_tree import LogTree, RecordProof, leaf_hash, prove_record
from catfs.merkle.node_store import LayeredNodes, MemoryNodes, MissingNodeError, NodeSource, NodeStore
from catfs.merkle.nodes import EMPTY_DIRECTORY
from catfs.merkle.pack import PackReader, PackWriter, write_pack
from catfs.merkle.tree import PathError, Tree

__all__ = [
    "EMPTY_DIRECTORY",
    "LayeredNodes",
    "LogTree",
    "MemoryNodes",
    "MissingNodeError",
    "NodeSource",
    "NodeStore",
    "PackReader",
    "PackWriter",
    "PathError",
    "PathProof",
    "ProofError",
    "RecordProof",
    "Tree",
    "build_directory",
    "diff",
    "find_entries",
    "find_entry",
    "iterate_directory",
    "leaf_hash",
    "prove_path",
    "prove_record",
    "update_directory",
    "write_pack",
]
