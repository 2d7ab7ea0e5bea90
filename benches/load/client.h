/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client process: its orders, and what it has seen, in memory shared with the parent. */
#ifndef CLIENT_H
#define CLIENT_H

#include "../common/histogram.h"

struct order {
    uint64_t duration_ns;
    int measuring;
};

/* Sums over all measured turns but for `turn_requests`. */
struct seen {
    struct histogram latency;
    uint64_t turn_requests; /* of the last turn */
    uint64_t slowest, fastest; /* requests of a connection */
};

/* Opens `connections` to `port`, says so on `channel`, then carries out the orders that come there. */
_Noreturn void client(const char *work, int port, int connections, int channel, struct seen *seen);

#endif
