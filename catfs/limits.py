"""The limits of views, logs, jobs and sessions: the unit, the reason, and how each relates to its neighbours.

What only makes sense beside its code (the size of a buffer, a layout) stands there.
"""

NAME_BYTES_MAX = 255
"""Longest file name, in bytes: the limit of every Linux file system (NAME_MAX)."""

PATH_CHUNK_BYTES = 3500
"""Longest path handed to one system call, in bytes: below PATH_MAX (4096), so that deeper
paths are walked in steps, each relative to a directory descriptor."""

HASH_CHUNK_BYTES = 1 << 20
"""Bytes read at a time while hashing: large enough that hashlib releases the interpreter lock
for most of the time, small enough to stay in the cache of the processor."""

XATTR_VALUE_BYTES_MAX = 65536
"""Largest value of an extended attribute, in bytes (XATTR_SIZE_MAX of Linux)."""

FILE_BYTES_MAX = (1 << 63) - 1
"""Largest file size and offset, in bytes: what a signed 64-bit offset can say."""

VIEW_FILE_BYTES_MAX = (1 << 44) - 4096
"""Largest file that a view lets a program make, in bytes: what ext4 allows. Every byte of a file that is
there at the end is hashed, those of holes too, so a limit that no real disk has would only hide mistakes."""

TIME_NS_MAX = (1 << 63) - 1
"""Latest time of a file, in nanoseconds since 1970: in the year 2262, the last one that the 64-bit
numbers of the write log can say."""

TIME_NS_MIN = -(1 << 63)
"""Earliest time of a file, in nanoseconds since 1970 and for the same reason: in the year 1677."""

KERNEL_CACHE_SECONDS = 365 * 24 * 3600
"""How long the kernel may keep entries and attributes, in seconds. The session is the only writer
of its view, so they never go stale on their own; libfuse has no value for `for ever`."""

JSON_BYTES_MAX = 1 << 30
"""Largest JSON file that is read back, in bytes: a manifest of several million entries."""

LARGE_DIRECTORY_BYTES = 1 << 20
"""Size of a lower directory, as stat tells it, from which on its entries are looked up one by one until it is
listed: about 20,000 names on ext4, which take a tenth of a second to scan."""

LOWER_DESCRIPTORS_MAX = 256
"""Most descriptors of lower directories, and of lower files, that one session keeps open at once:
both together stay below the usual soft limit of 1,024 for a process."""

FRESH_INODE_FIRST = 1 << 48
"""First inode number for what does not exist below. Lower inode numbers keep their value when they
are smaller, which those of every common file system are; and the sum of both stays exact in JSON
readers that know only doubles (2**53)."""

LOG_BUFFER_BYTES = 256 * 1024
"""Bytes of log records held in memory before they are written out in one call."""

RELEASE_BYTES_MIN = 64 * 1024
"""Smallest run of the data file whose space is given back when nothing refers to it, in bytes: below
that the system call costs more than the space is worth."""

DUE_BYTES_MAX = 16 << 20
"""Most free bytes of the data file that wait for a quiet moment to go back to the disk. They count as free,
and go at once when new bytes find no room, before a sync of a mount, and when a run ends."""
assert DUE_BYTES_MAX >= RELEASE_BYTES_MIN

SMALL_RUNS_MAX = 1 << 16
"""Most free runs of the data file below RELEASE_BYTES_MIN that are remembered: 1 MiB of memory. Behind that
they stay taken until the session ends."""

SHARED_SWEEP_BYTES = 64 << 20
"""Shared bytes that files let go of before it is looked which of them nobody has any more: a walk over all
changed files, so it must be worth it."""

PROCESS_DESCRIPTORS_MAX = 64
"""Most writing processes of which /proc entries are kept open at once, two descriptors each."""

FORGETS_PER_SWEEP = 256
"""Nodes that the kernel forgets before the view looks for directories to let go of: few enough that
little memory waits, many enough that looking costs next to nothing per node."""

LISTED_NODES_MAX = 100_000
"""Files known to the kernel from which on a listing gives names alone, and lets go of what it loaded for
that. The kernel then holds on to nothing that it did not look up."""

AWAKE_NODES_MAX = 100_000
"""Nodes of a view from which on the oldest that nobody used go to rest: about 90 MB. A node at rest takes a
fifth of that, and a few microseconds when it is asked for again."""

PROCESS_ARGUMENTS_SECONDS = 0.05
"""Longest wait for the arguments of a process, in seconds. Reading them takes microseconds, unless the
process waits for the server itself; then it must be answered first."""

PROCESS_ANCESTORS_MAX = 64
"""Most ancestors of a process that are described before its first change: far more than builds nest, and
little enough that one change never waits for long."""

JOBSPEC_BYTES_MAX = 1 << 20
"""Largest job specification that is read, in bytes: a thousand steps of a thousand bytes; whoever needs more
puts it into a script."""

JOBSPEC_DEPTH_MAX = 32
"""Deepest nesting of a job specification, in levels of brackets: the format itself needs five."""

CHAIN_LINE_BYTES_MAX = 4096
"""Longest record of the chain of runs, in bytes: run id, digests and times take less than 600."""

KEPT_OUTPUT_BYTES_MAX = 256 << 20
"""Most bytes of each output stream of a step that are kept with a run: more than anybody reads, and less than
would fill a disk while nobody looks."""

STEP_GRACE_SECONDS = 2.0
"""How long a step may live on after it was asked to end because its time was over, in seconds."""

assert PATH_CHUNK_BYTES + NAME_BYTES_MAX < 4096
assert VIEW_FILE_BYTES_MAX < FILE_BYTES_MAX
