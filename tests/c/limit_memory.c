// arch: x86_64
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * At the process's memory limit (RLIMIT_AS) calls fail with ENOMEM, all that exists goes on, and works again when there
 * is room.
 */
#include "core.h"

static int finished;
static struct rlimit before;

static void limit_to_present(size_t more) {
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm != NULL && fscanf(statm, "%ld", &pages) == 1);
    fclose(statm);
    struct rlimit limit = {(rlim_t)pages * 4096 + more, before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

static void runs(void *argument) {
    volatile char block[2000];
    memset((void *)block, 1, sizeof block);
    for (int i = 0; i < 3; i++) dyco_coroutine_sleep((uint32_t)(argument != NULL));
    CHECK_EQ(block[1999], 1);
    finished++;
}

static void lift(void *argument) {
    (void)argument;
    dyco_coroutine_sleep(30);
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
}

int main(void) {
    int made = 0, cid;
    CHECK_EQ(getrlimit(RLIMIT_AS, &before), 0);
    dyco_schedule_create(0, 0);
    spawn_own(lift, NULL, 16384);

    /* Stacks until there are no more. */
    limit_to_present(64 << 20);
    for (;;) {
        CHECK(made < 1000000);
        errno = 0;
        cid = dyco_coroutine_create(runs, &finished);
        if (cid < 0) break;
        made++;
        errno = 0;
        if (dyco_coroutine_setStack(cid, NULL, 256 << 10) < 0) {
            CHECK_EQ(dyco_coroutine_getStack(cid, NULL, NULL), 0);
            break;
        }
    }
    CHECK_EQ(errno, ENOMEM);
    CHECK(made > 20);
    CHECK_ERRNO(dyco_coroutine_setStack(cid > 0 ? cid : 1, NULL, (size_t)1 << 40), cid > 0 ? ENOMEM : ESRCH);
    run_all();
    CHECK_EQ(finished, made);

    /* Coroutines until there are no more. */
    spawn_own(lift, NULL, 16384);
    limit_to_present(8 << 20);
    made = finished = 0;
    while ((cid = dyco_coroutine_create(runs, NULL)) > 0) {
        made++;
        CHECK(made < 10000000);
    }
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(dyco_schedule_getCoroCount(), made + 1);
    int result;
    for (int tries = 0; (result = dyco_schedule_run()) != 0; tries++) {
        CHECK_EQ(result, -1);
        CHECK_EQ(errno, ENOMEM);
        CHECK(tries < 10000);
        usleep(1000);
        if (tries == 1000) CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    }
    CHECK_EQ(finished, made);
    dyco_schedule_free(NULL);

    /* No scheduler to be had. */
    limit_to_present(0);
    errno = 0;
    int created = dyco_schedule_create((size_t)64 << 20, 0);
    if (created != 0) {
        CHECK_EQ(created, -1);
        CHECK_EQ(errno, ENOMEM);
    } else if ((cid = dyco_coroutine_create(runs, NULL)) < 0) { /* nothing was reserved before it was needed */
        CHECK_EQ(errno, ENOMEM);
    }
    CHECK_EQ(setrlimit(RLIMIT_AS, &before), 0);
    dyco_schedule_free(NULL);
    finished = 0;
    spawn(runs, NULL);
    run_all();
    CHECK_EQ(finished, 1);
    return test_done();
}
