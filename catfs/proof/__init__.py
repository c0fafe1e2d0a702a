"""From a run to its verdict: capture a domain, judge, write it down, explain it to people.

Verification of finished runs is imported from `catfs.proof.verify`: it loads jsonschema, for which a
run itself should not wait.
"""

from catfs.proof.assemble import (
    ProofFacts,
    assemble_proof,
    committed_changes,
    domain_manifest,
    domain_roots,
    manifest_tree,
    missing_outputs,
    outputs_record,
    post_tree,
    restore_diff,
    status_record,
)
from catfs.proof.capture import Capture, CaptureError, capture
from catfs.proof.explain import explain, explain_leftovers
from catfs.proof.merkle_tree import MerkleTree, TreeDifference
from catfs.proof.prove import DomainEvidence, Evidence, SplitChanges, Verdict, prove, split_changes
from catfs.proof.witness import base_manifest, new_nodes, post_manifest

__all__ = [
    "Capture",
    "CaptureError",
    "DomainEvidence",
    "Evidence",
    "MerkleTree",
    "ProofFacts",
    "SplitChanges",
    "TreeDifference",
    "Verdict",
    "assemble_proof",
    "base_manifest",
    "capture",
    "committed_changes",
    "domain_manifest",
    "domain_roots",
    "explain",
    "explain_leftovers",
    "manifest_tree",
    "missing_outputs",
    "new_nodes",
    "outputs_record",
    "post_manifest",
    "post_tree",
    "prove",
    "restore_diff",
    "split_changes",
    "status_record",
]
