"""The commands: one module for each, found by `main`; they read arguments, ask `catfs.runtime`, and print."""

__all__: list[str] = []
