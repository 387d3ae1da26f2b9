/* unrelated-children.c — tells ext4 that the folders inside a folder have nothing to do with each other (chattr +T), so that it
   puts each into block groups of its own. A drive's root is such a folder, and only a mount point is taken for one by itself.
   Without it all buckets of all drives on one file system share a few groups, with whatever else is written and removed
   there; a group with many inodes just removed makes each new one in it many times dearer where there is no journal. */
#define _GNU_SOURCE
#include "log-steps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#define EXT4_TOP_OF_HIERARCHY 0x00020000

int mark_children_unrelated(const char *path) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    struct statfs facts;
    int flags = 0; /* the kernel reads and writes an int here, whatever the header says */
    int error = 0;
    if (fstatfs(fd, &facts) != 0 || facts.f_type != EXT4_SUPER_MAGIC || ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) {
        error = ENOTSUP;
    } else if (!(flags & EXT4_TOP_OF_HIERARCHY)) {
        flags |= EXT4_TOP_OF_HIERARCHY;
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0) error = errno;
    }
    close(fd);
    return error;
}
