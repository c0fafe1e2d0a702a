"""Run folders: written once, completed by their proof, and read again."""

from catfs.ledger.chain import Chain, ChainContent, ChainDamageError, ChainEntry, ChainRecord
from catfs.ledger.log_file import LogFile
from catfs.ledger.reader import LAST_RUN, RunFiles, RunFolder, RunReader, find_run, list_runs
from catfs.ledger.writer import RunWriter, publish_proof

__all__ = [
    "LAST_RUN",
    "Chain",
    "ChainContent",
    "ChainDamageError",
    "ChainEntry",
    "ChainRecord",
    "LogFile",
    "RunFiles",
    "RunFolder",
    "RunReader",
    "RunWriter",
    "find_run",
    "list_runs",
    "publish_proof",
]
