"""The benchmark: catfs beside the bare disk and beside other overlays, in one run, in turns.

`python -m tools.bench` runs it; docs/performance.md explains how to read what it prints.
"""
