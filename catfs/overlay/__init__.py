"""The overlay: a copy-on-write view of real directories, its write log, and the ways to serve it.

`view` holds the rules, `lower` the real files, `data_file` the new bytes, `write_log` the trace;
`fold` turns the view into a tree, `replay` makes the view again from the log, `undoing` says which records
count, and `transports` carry kernel requests to it.
"""

from catfs.overlay.data_file import DataFile, ForkedData
from catfs.overlay.fold import ContentDigests, HardLinks, fold
from catfs.overlay.lower import DirectoryLower, Lower
from catfs.overlay.processes import Processes
from catfs.overlay.replay import Replay, ReplayClock, ReplayError, replay
from catfs.overlay.state import Domain
from catfs.overlay.trace import NoTrace, Trace
from catfs.overlay.undoing import UNDO_MARK, Undo, Undone
from catfs.overlay.view import View
from catfs.overlay.write_log import WriteLog

__all__ = [
    "UNDO_MARK",
    "ContentDigests",
    "DataFile",
    "DirectoryLower",
    "Domain",
    "ForkedData",
    "HardLinks",
    "Lower",
    "NoTrace",
    "Processes",
    "Replay",
    "ReplayClock",
    "ReplayError",
    "Trace",
    "Undo",
    "Undone",
    "View",
    "WriteLog",
    "fold",
    "replay",
]
