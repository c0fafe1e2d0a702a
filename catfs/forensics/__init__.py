"""Questions to a write log: who is behind a change, what became of a file, who wrote which bytes.

Pure answers over the records of a log, in order; where the log comes from, and who reads the answer, is
for the rooms above.
"""

from catfs.forensics.lifetimes import Event, FileKind, FileLife, FileTable
from catfs.forensics.ownership import OwnedRange, Ownership
from catfs.forensics.processes import Process, ProcessTable
from catfs.forensics.summary import Group, Grouping, Sum, Summary

__all__ = [
    "Event",
    "FileKind",
    "FileLife",
    "FileTable",
    "Group",
    "Grouping",
    "OwnedRange",
    "Ownership",
    "Process",
    "ProcessTable",
    "Sum",
    "Summary",
]
