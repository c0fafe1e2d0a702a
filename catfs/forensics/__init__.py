"""Questions to a write log: who is behind a change, what became of a file, who wrote which bytes.

Pure answers over the records of a log, in order; where the log comes from, and who reads the answer, is
for the rooms above.
"""

from catfs.forensics.activity import Activity, Deeds, Place
from catfs.forensics.blame import Blame, BlamedRange, blame_file, find_file
from catfs.forensics.findings import RULES, Auditor, Finding, Rule, Severity
from catfs.forensics.lifetimes import Event, FileKind, FileLife, FileTable
from catfs.forensics.ownership import OwnedRange, Ownership
from catfs.forensics.processes import Process, ProcessTable
from catfs.forensics.rates import Rate, RateMeter
from catfs.forensics.summary import Group, Grouping, Sum, Summary

__all__ = [
    "RULES",
    "Activity",
    "Auditor",
    "Blame",
    "BlamedRange",
    "Deeds",
    "Event",
    "FileKind",
    "FileLife",
    "FileTable",
    "Finding",
    "Group",
    "Grouping",
    "OwnedRange",
    "Ownership",
    "Place",
    "Process",
    "ProcessTable",
    "Rate",
    "RateMeter",
    "Rule",
    "Severity",
    "Sum",
    "Summary",
    "blame_file",
    "find_file",
]
