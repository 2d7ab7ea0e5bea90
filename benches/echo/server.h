/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What all echo servers do alike: NAME [...] PORT; a listener that several threads can have each one of. */
#ifndef SERVER_H
#define SERVER_H

#include "../common/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 1024 /* bytes of each connection's buffer */

static inline int listen_on(int port, int flags)
{
    struct sockaddr_in address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* ends with the harness */
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(listener >= 0);
    MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    MUST(setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    MUST(listen(listener, 4096) == 0);
    return listener;
}

#endif
