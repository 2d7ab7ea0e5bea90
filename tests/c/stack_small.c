/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Every call works on a 4096-byte stack that the caller supplied, and the library's own frames use less than 1 KiB of it.
 * Each call runs on a painted stack; what it wrote is what it used.
 */
#include "core.h"

#include <sys/socket.h>

#define SIZE 4096
#define PAINT 0x5A

static unsigned char stack[SIZE] __attribute__((aligned(4096)));
static int ends[2], quiet[2], done;
static struct { sa_family_t family; char path[14]; } nowhere = {AF_UNIX, "/nonexistent"};
static char buffer[16];
static void *pointer;
static size_t length;
static struct pollfd item;

static void call_nothing(void) {}
static void call_sleep_0(void) { dyco_coroutine_sleep(0); }
static void call_sleep(void) { dyco_coroutine_sleep(1); }
static void call_create(void) { CHECK(dyco_coroutine_create(nothing, NULL) > 0); }
static void call_create_urgent(void) { CHECK(dyco_coroutine_create_urgent(nothing, NULL) > 0); }
static void call_set_stack(void) {
    int cid = dyco_coroutine_create(nothing, NULL);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 16384), 1);
    CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 1 << 20), 1);
}
static void call_get_stack(void) { CHECK_EQ(dyco_coroutine_getStack(dyco_coroutine_coroID(), &pointer, &length), 1); }
static void call_check_stack(void) { CHECK_EQ(dyco_coroutine_checkStack(), 0); }
static void call_udata(void) {
    CHECK_EQ(dyco_coroutine_setUdata(dyco_coroutine_coroID(), stack), 0);
    CHECK_EQ(dyco_coroutine_getUdata(dyco_coroutine_coroID(), &pointer), 0);
}
static void call_count(void) { CHECK(dyco_coroutine_getSchedCount(dyco_coroutine_coroID()) >= 0); }
static void call_urgent(void) {
    CHECK_EQ(dyco_coroutine_setUrgent(dyco_coroutine_coroID()), 0);
    CHECK_EQ(dyco_coroutine_unsetUrgent(dyco_coroutine_coroID()), 0);
}
static void call_abort(void) { dyco_coroutine_abort(); }
static void call_wait_read(void) { CHECK_EQ(dyco_coroutine_waitRead(quiet[0], 1), 0); }
static void call_wait_write(void) { CHECK(dyco_coroutine_waitWrite(ends[0], 1) > 0); }
static void call_wait_both(void) { CHECK(dyco_coroutine_waitRW(ends[0], 1) > 0); }
static void call_wait_bad(void) { CHECK_EQ(dyco_coroutine_waitRead(-1, 1), -1); }
static void call_run(void) { CHECK_EQ(dyco_schedule_run(), -1); }
static void call_info(void) {
    CHECK(dyco_schedule_current() != NULL);
    CHECK(dyco_schedule_schedID() > 0);
    CHECK(dyco_schedule_getCoroCount() > 0);
    CHECK_EQ(dyco_schedule_setUdata(NULL), 0);
    CHECK_EQ(dyco_schedule_getUdata(&pointer), 0);
    CHECK_EQ(dyco_schedule_create(0, 0), -1);
}
static void call_mask(void) {
    static sigset_t set;
    CHECK_EQ(dyco_schedcall_sigprocmask(SIG_BLOCK, NULL, &set), 0);
}
static void call_socket(void) {
    int fd = dyco_socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(dyco_close(fd), 0);
}
static void call_send_recv(void) {
    CHECK_EQ(dyco_send(ends[0], "abc", 3, 0), 3);
    CHECK_EQ(dyco_recv(ends[1], buffer, sizeof buffer, 0), 3);
}
static void write_later(void *argument) {
    CHECK_EQ(send(ends[0], "abc", 3, 0), 3);
    (void)argument;
}
static void call_recv_waits(void) {
    CHECK(dyco_coroutine_create(write_later, NULL) > 0);
    CHECK_EQ(dyco_recv(ends[1], buffer, sizeof buffer, 0), 3);
}
static void call_connect(void) { CHECK_EQ(dyco_connect(quiet[0], (struct sockaddr *)&nowhere, sizeof nowhere), -1); }
static void call_accept(void) { CHECK_EQ(dyco_accept(quiet[1], NULL, NULL), -1); }
static void call_poll(void) { CHECK_EQ(poll(&item, 1, 1), 0); }
static void call_read(void) {
    CHECK(dyco_coroutine_create(write_later, NULL) > 0);
    CHECK_EQ(read(ends[1], buffer, sizeof buffer), 3);
}
static void call_usleep(void) { CHECK_EQ(usleep(1000), 0); }
static void call_stop(void) { dyco_schedcall_stop(); }
static void call_abort_all(void) { dyco_schedcall_abort(); }

static void enter(void *argument) {
    void (*const *call)(void) = argument;
    (*call)();
    done = 1;
}

/* Bytes of the stack that were written to. */
static int usage(void (*call)(void)) {
    memset(stack, PAINT, SIZE);
    done = 0;
    int cid = spawn(enter, &call);
    CHECK_EQ(dyco_coroutine_setStack(cid, stack, SIZE), 1);
    int end = dyco_schedule_run();
    if (end == 1) end = dyco_schedule_run();
    if (call == call_abort_all) CHECK_EQ(end, -1);
    else CHECK_EQ(end, 0);
    if (call != call_abort_all && call != call_abort) CHECK_EQ(done, 1);
    int lowest = 16; /* the mark at the bottom */
    while (lowest < SIZE && stack[lowest] == PAINT) lowest++;
    return SIZE - lowest;
}

int main(void) {
    static const struct { void (*call)(void); const char *name; } calls[] = {
        {call_sleep_0, "sleep(0)"}, {call_sleep, "sleep"}, {call_create, "create"}, {call_create_urgent, "create_urgent"},
        {call_set_stack, "setStack"}, {call_get_stack, "getStack"}, {call_check_stack, "checkStack"}, {call_udata, "udata"},
        {call_count, "getSchedCount"}, {call_urgent, "setUrgent"}, {call_abort, "abort"}, {call_wait_read, "waitRead"},
        {call_wait_write, "waitWrite"}, {call_wait_both, "waitRW"}, {call_wait_bad, "waitRead(-1)"}, {call_run, "run"},
        {call_info, "schedule_*"}, {call_mask, "sigprocmask"}, {call_socket, "socket, close"}, {call_send_recv, "send, recv"},
        {call_recv_waits, "recv that waits"}, {call_connect, "connect"}, {call_accept, "accept"}, {call_poll, "poll"},
        {call_read, "read"}, {call_usleep, "usleep"}, {call_stop, "stop"}, {call_abort_all, "schedcall_abort"},
    };
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet), 0);
    item.fd = quiet[0];
    item.events = POLLIN;

    /* Once before measuring: lazy binding uses stack of its own, and so does what is done once. */
    for (size_t i = 0; i < COUNT(calls); i++) usage(calls[i].call);
    int base = usage(call_nothing);
    for (size_t i = 0; i < COUNT(calls); i++) {
        int used = usage(calls[i].call) - base;
        if (used >= 1024) TEST_FAIL("%s uses %d bytes of stack", calls[i].name, used);
    }
    return test_done();
}
