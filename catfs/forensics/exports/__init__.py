"""A write log in formats that people already have viewers for."""

from catfs.forensics.exports.columns import TABLES, Column, Table, Type
from catfs.forensics.exports.runtime_trace import Subject, TraceFacts, write_runtime_trace
from catfs.forensics.exports.sinks import CsvFolder, ParquetFolder, SqliteFile
from catfs.forensics.exports.tables import TableCounts, TableSink, write_tables
from catfs.forensics.exports.trace_events import write_trace_events

__all__ = [
    "TABLES",
    "Column",
    "CsvFolder",
    "ParquetFolder",
    "SqliteFile",
    "Subject",
    "Table",
    "TableCounts",
    "TableSink",
    "TraceFacts",
    "Type",
    "write_runtime_trace",
    "write_tables",
    "write_trace_events",
]
