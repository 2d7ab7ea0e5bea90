/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A library that knows nothing of coroutines, and waits: for data that never comes.
 */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

void library_waits(void) {
    struct timeval limit = {0, 150000};
    int ends[2];
    char byte;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return;
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (recv(ends[0], &byte, 1, 0) > 0) _exit(4);
    close(ends[0]);
    close(ends[1]);
}
