"""Every limit in one place: its unit, its reason, and how it relates to its neighbours."""

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

KERNEL_CACHE_SECONDS = 365 * 24 * 3600
"""How long the kernel may keep entries and attributes, in seconds. The session is the only writer
of its view, so they never go stale on their own; libfuse has no value for `for ever`."""

JSON_BYTES_MAX = 1 << 30
"""Largest JSON file that is read back, in bytes: a manifest of several million entries."""

assert PATH_CHUNK_BYTES + NAME_BYTES_MAX < 4096
