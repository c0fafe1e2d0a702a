"""Joins the rooms below: sessions and their mounts, runs and their phases, confinement, what commands ask.

Nothing is exported here, and the modules are imported by name: each command loads the few that it needs, and
a small run does not wait for the others.
"""

__all__: list[str] = []
