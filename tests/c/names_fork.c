// modes: shared fortify ring
// timeout: 60
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * fork while names are looked up: the child, of a program that has made no thread itself, can look names up. libc holds
 * locks during a look-up that nobody would release there.
 */
#include "net.h"

#include <netdb.h>

static int going, looked_up;

static void look_up(const char *name) {
    struct addrinfo *found = NULL;
    CHECK_EQ(getaddrinfo(name, "80", NULL, &found), 0);
    CHECK(found != NULL);
    freeaddrinfo(found);
}

static void looks_up(void *argument) {
    (void)argument;
    while (going) {
        look_up("localhost");
        looked_up++;
    }
}

/* Children by the dozen, inside a coroutine and outside. */
static void fork_once(int inside) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(15 * (unsigned)patience());
        look_up("127.0.0.1");
        _exit(0);
    }
    CHECK_EQ(inside ? dyco_signal_waitchild(child, &status, -1) : waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void forks(void *argument) {
    (void)argument;
    for (int i = 0; i < 150; i++) {
        int before = looked_up;
        fork_once(1);
        /* The parent's go on. */
        while (looked_up == before) dyco_coroutine_sleep(1);
    }
    going = 0;
}

int main(void) {
    going = 1;
    for (int i = 0; i < 4; i++) spawn_own(looks_up, NULL, 65536);
    spawn_own(forks, NULL, 65536);
    int64_t begin = now_ms();
    run_all();
    fork_once(0);
    CHECK_TOOK(now_ms() - begin, 0, 20000);
    return test_done();
}
