# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Run at each start, before boot.py: mounts the flash, and formats it when it is blank. A flash
# with a damaged file system is never formatted by itself.

import _board
import vfs


def _mount():
    flash = _board.Flash()
    if not flash.ioctl(4, 0):
        return  # the machine was started without a disk
    try:
        vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
        return
    except OSError:
        if not _board.flash_blank():
            print("flash: no file system to be read; vfs.VfsLfs2.mkfs(_board.Flash()) makes one")
            return
    vfs.VfsLfs2.mkfs(flash, progsize=256)
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")


_mount()
