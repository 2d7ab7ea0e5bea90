/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A plain io_uring server: a recv in flight on each connection, into a buffer of its own; the send that answers and the
 * next recv are linked and go to the kernel with the one io_uring_enter that also waits.
 */
#include "server.h"

#include <liburing.h>

#define ENTRIES 4096

struct connection {
    int fd;
    char buffer[ROOM];
};

enum event { ACCEPTED, RECEIVED, SENT };

static struct io_uring ring;

static struct io_uring_sqe *entry(void *of, enum event event)
{
    struct io_uring_sqe *sqe;

    while (!(sqe = io_uring_get_sqe(&ring)))
        MUST(io_uring_submit(&ring) >= 0);
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)of | event);
    return sqe;
}

static void receive(struct connection *c)
{
    io_uring_prep_recv(entry(c, RECEIVED), c->fd, c->buffer, ROOM, 0);
}

static void handle(int listener, struct io_uring_cqe *cqe)
{
    struct connection *c = (void *)(uintptr_t)(cqe->user_data & ~3ull);

    switch ((enum event)(cqe->user_data & 3)) {
    case ACCEPTED:
        MUST(cqe->res >= 0);
        MUST(c = malloc(sizeof *c));
        c->fd = cqe->res;
        receive(c);
        if (!(cqe->flags & IORING_CQE_F_MORE))
            io_uring_prep_multishot_accept(entry(NULL, ACCEPTED), listener, NULL, NULL, SOCK_CLOEXEC);
        break;
    case RECEIVED:
        if (cqe->res > 0) {
            /* The answer is nearly always sent on the spot, so it says nothing unless it failed. */
            struct io_uring_sqe *sqe = entry(c, SENT);
            io_uring_prep_send(sqe, c->fd, c->buffer, (size_t)cqe->res, MSG_NOSIGNAL | MSG_WAITALL);
            io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
            receive(c);
        } else {
            close(c->fd);
            free(c);
        }
        break;
    case SENT: /* failed; the linked recv is cancelled and ends the connection */
        break;
    }
}

int main(int argc, char **argv)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE, .cq_entries = 65536};

    MUST(argc == 2);
    int listener = listen_on(atoi(argv[1]), 0);
    MUST((errno = -io_uring_queue_init_params(ENTRIES, &ring, &params)) == 0);
    io_uring_prep_multishot_accept(entry(NULL, ACCEPTED), listener, NULL, NULL, SOCK_CLOEXEC);
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;

        MUST(io_uring_submit_and_wait(&ring, 1) >= 0 || errno == EINTR);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            handle(listener, cqe);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
