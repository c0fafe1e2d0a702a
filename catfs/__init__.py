"""catfs: let a program work inside a directory, prove what it left, commit only what was declared."""

__version__ = "0.1.0"
