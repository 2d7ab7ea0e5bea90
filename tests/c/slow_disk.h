/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A disk that takes its time for each operation: a file system in user space, spoken to by the kernel's own protocol, in a
 * mount namespace of the test's. It has one file, "file", which is never cached.
 */
#ifndef DYCO_TEST_SLOW_DISK_H
#define DYCO_TEST_SLOW_DISK_H

#include "net.h"

#include <linux/fuse.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define DISK_SIZE 200000

struct disk_reply {
    int64_t due;
    size_t size;
    char *bytes;
};

static int disk_delay_ms;
/* How many operations have begun that take their time. */
static volatile unsigned *disk_asked;
static char disk_folder[] = "/tmp/dyco-disk-XXXXXX";
static char disk_content[DISK_SIZE];
static uint64_t disk_length = 100000;

static inline void disk_attr(struct fuse_attr *attr, uint64_t inode) {
    memset(attr, 0, sizeof *attr);
    attr->ino = inode;
    attr->size = inode == 2 ? disk_length : 0;
    attr->mode = inode == 2 ? S_IFREG | 0644 : S_IFDIR | 0755;
    attr->nlink = 1;
    attr->blksize = 4096;
}

/* The answer to a request: its length, or -errno. */
static inline int disk_answer(struct fuse_in_header *in, void *body, char *out) {
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_in *init = body;
        struct fuse_init_out *answer = (void *)out;
        memset(answer, 0, sizeof *answer);
        answer->major = FUSE_KERNEL_VERSION;
        answer->minor = init->minor < FUSE_KERNEL_MINOR_VERSION ? init->minor : FUSE_KERNEL_MINOR_VERSION;
        answer->max_write = 65536;
        answer->max_background = 64;
        answer->congestion_threshold = 64;
        return sizeof *answer;
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out *answer = (void *)out;
        if (in->nodeid != 1 || strcmp(body, "file") != 0) return -ENOENT;
        memset(answer, 0, sizeof *answer);
        answer->nodeid = 2;
        disk_attr(&answer->attr, 2);
        return sizeof *answer;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out *answer = (void *)out;
        memset(answer, 0, sizeof *answer);
        disk_attr(&answer->attr, in->nodeid);
        return sizeof *answer;
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
        struct fuse_open_out *answer = (void *)out;
        memset(answer, 0, sizeof *answer);
        answer->fh = 1;
        answer->open_flags = FOPEN_DIRECT_IO;
        return sizeof *answer;
    }
    case FUSE_READ: {
        struct fuse_read_in *read = body;
        uint64_t left = read->offset < disk_length ? disk_length - read->offset : 0;
        int length = (int)(read->size < left ? read->size : left);
        memcpy(out, disk_content + read->offset, (size_t)length);
        return length;
    }
    case FUSE_WRITE: {
        struct fuse_write_in *write = body;
        struct fuse_write_out *answer = (void *)out;
        if (write->offset + write->size > DISK_SIZE) return -ENOSPC;
        memcpy(disk_content + write->offset, write + 1, write->size);
        if (write->offset + write->size > disk_length) disk_length = write->offset + write->size;
        answer->size = write->size;
        answer->padding = 0;
        return sizeof *answer;
    }
    case FUSE_FSYNC:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_ACCESS: return 0;
    default: return -ENOSYS;
    }
}

static inline int disk_is_slow(uint32_t opcode) {
    return opcode != FUSE_INIT && opcode != FUSE_FLUSH && opcode != FUSE_RELEASE;
}

static inline void disk_serve(int fd) {
    static struct disk_reply queue[1024];
    static char request[1 << 18];
    unsigned first = 0, last = 0;
    for (;;) {
        struct pollfd entry = {fd, POLLIN, 0};
        int64_t wait = first == last ? -1 : queue[first % COUNT(queue)].due - now_ms();
        int ready = poll(&entry, 1, first == last ? -1 : wait < 0 ? 0 : (int)wait);
        if (ready > 0) {
            ssize_t n = read(fd, request, sizeof request);
            struct fuse_in_header *in = (void *)request;
            if (n < 0 && errno == ENODEV) _exit(0);
            if (n >= (ssize_t)sizeof *in && in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET &&
                in->opcode != FUSE_INTERRUPT) {
                struct disk_reply *reply = &queue[last % COUNT(queue)];
                struct fuse_out_header *head = malloc(1 << 18);
                if (!head || last - first == COUNT(queue)) _exit(3);
                int result = disk_answer(in, in + 1, (char *)(head + 1));
                if (disk_is_slow(in->opcode)) ++*disk_asked;
                head->unique = in->unique;
                head->error = result < 0 ? result : 0;
                head->len = (uint32_t)(sizeof *head + (result > 0 ? (size_t)result : 0));
                *reply = (struct disk_reply){now_ms() + (disk_is_slow(in->opcode) ? disk_delay_ms : 0), head->len, (char *)head};
                /* In the order of their times. */
                for (unsigned at = last++; at != first && queue[(at - 1) % COUNT(queue)].due > queue[at % COUNT(queue)].due; at--) {
                    struct disk_reply other = queue[at % COUNT(queue)];
                    queue[at % COUNT(queue)] = queue[(at - 1) % COUNT(queue)];
                    queue[(at - 1) % COUNT(queue)] = other;
                }
            }
        }
        while (first != last && queue[first % COUNT(queue)].due <= now_ms()) {
            struct disk_reply *reply = &queue[first++ % COUNT(queue)];
            if (write(fd, reply->bytes, reply->size) < 0) { /* the asker is gone */
            }
            free(reply->bytes);
        }
    }
}

/* Mounts it; the file is disk_folder/file. To be called before there are threads. */
static inline void disk_start(int delay_ms) {
    char options[128];
    for (int i = 0; i < DISK_SIZE; i++) disk_content[i] = (char)('a' + i % 26);
    CHECK(mkdtemp(disk_folder) != NULL);
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0 || unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0) {
        rmdir(disk_folder);
        TEST_SKIP("may not mount file systems of its own");
    }
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    if (mount("dyco-test", disk_folder, "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
        rmdir(disk_folder);
        TEST_SKIP("has no file systems in user space");
    }
    disk_asked = mmap(NULL, sizeof *disk_asked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(disk_asked != MAP_FAILED);
    pid_t test = getpid(), server = fork();
    CHECK(server >= 0);
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != test) _exit(0);
        disk_delay_ms = delay_ms;
        disk_serve(fd);
    }
    CHECK_EQ(close(fd), 0);
}

static inline const char *disk_file(void) {
    static char path[64];
    snprintf(path, sizeof path, "%s/file", disk_folder);
    return path;
}

/* The folder goes; the mount goes with the namespace. */
static inline void disk_end(void) {
    umount2(disk_folder, MNT_DETACH);
    rmdir(disk_folder);
}

#endif
