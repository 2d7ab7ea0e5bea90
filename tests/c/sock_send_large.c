// timeout: 120
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * 50 MB through one call, over a reader that pauses: all of it is sent, in order, and nobody else waits.
 */
#include "net.h"

#define TOTAL (50 << 20)

static char *payload;
static int ends[2], sent;

static void sends(void *argument) {
    ssize_t n = 0;
    if ((intptr_t)argument == 0) n = dyco_send(ends[0], payload, TOTAL, 0);
    if ((intptr_t)argument == 1) n = write(ends[0], payload, TOTAL);
    if ((intptr_t)argument == 2) {
        struct iovec pieces[200];
        size_t at = 0;
        for (int i = 0; i < 200; i++) {
            pieces[i].iov_base = payload + at;
            pieces[i].iov_len = i == 199 ? TOTAL - at : (size_t)(1000 * i);
            at += pieces[i].iov_len;
        }
        n = writev(ends[0], pieces, 200);
    }
    CHECK_EQ(n, TOTAL);
    CHECK_EQ(shutdown(ends[0], SHUT_WR), 0);
    sent++;
}

static void reads(void *argument) {
    static uint32_t buffer[65536];
    size_t total = 0;
    ssize_t n;
    (void)argument;
    while ((n = recv(ends[1], buffer, sizeof buffer, MSG_WAITALL)) > 0) {
        for (size_t i = 0; i < (size_t)n / 4; i += 1021) CHECK_EQ(buffer[i], total / 4 + i);
        total += (size_t)n;
        if (total % (8 << 20) == 0) dyco_coroutine_sleep(40);
    }
    CHECK_EQ(n, 0);
    CHECK_EQ(total, TOTAL);
}

int main(void) {
    payload = malloc(TOTAL);
    CHECK(payload != NULL);
    for (uint32_t i = 0; i < TOTAL / 4; i++) memcpy(payload + (size_t)i * 4, &i, 4);
    for (int how = 0; how < 3; how++) {
        stream_pair(how == 2 ? AF_UNIX : AF_INET, ends);
        int cid = spawn(sends, (void *)(intptr_t)how);
        CHECK_EQ(dyco_coroutine_setStack(cid, NULL, how == 0 ? 0 : 65536), how != 0);
        spawn(reads, NULL);
        run_with_ticker();
        close_pair(ends);
    }
    CHECK_EQ(sent, 3);
    free(payload);
    return test_done();
}
