"""Files that are made without a name (O_TMPFILE) and may be given one later."""

from errno import ENOENT

from catfs.overlay.namespace import Namespace
from catfs.overlay.nodes import Actor, File, error_of


class Unnamed(Namespace):
    """The operations on files that never had a name."""

    def tmpfile(self, parent: int, mode: int, actor: Actor) -> File:
        """Make an empty regular file without a name.

        The log has it under the name `#INODE` in its directory, as a file that has no name any more.

        Args:
            parent: Inode number of the directory on whose behalf it is made.
            mode: Permission bits, the umask already taken off.
            actor: On whose behalf.

        Returns:
            The file, which the caller must hold by a handle or a kernel reference.

        Raises:
            OSError: ENOTDIR, ENOENT when the directory was removed.
        """
        directory = self.directory(parent)
        if directory.nlink == 0:
            raise error_of(ENOENT)
        now = self.clock()
        node = File(self.fresh_inode(), mode, actor.uid, self._group_for(directory, actor), now)
        node.nlink = 0
        node.last_path = self.place(directory, b"#%d" % node.ino)
        self.nodes[node.ino] = node
        self.unnamed.add(node)
        place = self.place_of(node)
        self.record("create", place, node, actor, now, mode=node.mode, uid=node.uid, gid=node.gid)
        return node
