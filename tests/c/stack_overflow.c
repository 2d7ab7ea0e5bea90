/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Running over a library stack, own or shared, prints one line that names the coroutine and ends the process by SIGSEGV.
 * A handler of the program's own gets the signal too, and a SIGSEGV of another kind is none of the library's business.
 */
#include "core.h"

static int cid;
static volatile int *volatile nowhere = (volatile int *)16;

static __attribute__((noinline)) int endless(int depth) {
    volatile char frame[512];
    frame[0] = (char)depth;
    return depth < 0 ? 0 : endless(depth + 1) + frame[0];
}

static void overflow(void *argument) {
    if (argument) dyco_coroutine_sleep(1);
    endless(0);
}

static void start(int own, void *argument) {
    for (int i = 0; i < 3; i++) spawn(nothing, NULL);
    cid = spawn(overflow, argument);
    if (own) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 65536), 1);
    char line[32];
    int length = snprintf(line, sizeof line, "%d ", cid);
    CHECK_EQ(write(2, line, (size_t)length), length);
    dyco_schedule_run();
}

static void shared(void) { start(0, NULL); }
static void own(void) { start(1, NULL); }
static void own_after_switch(void) { start(1, &cid); }

static void *thread(void *argument) {
    start(argument != NULL, NULL);
    return NULL;
}

static void in_thread(void) {
    pthread_t other;
    spawn(nothing, NULL);
    pthread_create(&other, NULL, thread, NULL);
    pthread_join(other, NULL);
}

static void own_in_thread(void) {
    pthread_t other;
    spawn(nothing, NULL);
    pthread_create(&other, NULL, thread, &cid);
    pthread_join(other, NULL);
}

static void handler(int number) {
    if (write(2, "handled\n", 8) != 8) _exit(3);
    _exit(number == SIGSEGV ? 42 : 43);
}

static void catch_segv(void) {
    static char alternate[65536];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    CHECK_EQ(sigaltstack(&stack, NULL), 0);
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
}

/* The program's handler before and after the scheduler came. */
static void handler_before(void) {
    catch_segv();
    start(1, NULL);
}

static void set_handler_inside(void *argument) {
    (void)argument;
    catch_segv();
}

static void handler_after(void) {
    spawn_own(set_handler_inside, NULL, 65536);
    CHECK_EQ(dyco_schedule_run(), 0);
    start(1, NULL);
}

static void wild_pointer(void *argument) {
    (void)argument;
    *nowhere = 1;
}

static void other_fault(void) {
    spawn(wild_pointer, NULL);
    dyco_schedule_run();
}

static void other_fault_own(void) {
    spawn_own(wild_pointer, NULL, 16384);
    dyco_schedule_run();
}

static void fault_outside(void) {
    spawn_own(nothing, NULL, 16384);
    dyco_schedule_run();
    *nowhere = 1;
}

static void other_fault_handled(void) {
    catch_segv();
    other_fault_own();
}

static char output[4096];

/* As in_child, without what an emulator says of a crash. */
static int run_child(void (*body)(void)) {
    int status = in_child(body, output, sizeof output);
    char *emulator = strstr(output, "qemu: ");
    if (emulator) *emulator = 0;
    return status;
}

/* The child's first word is the coroutine's cid; the rest is what it printed when it died. */
static const char *overflows(void (*body)(void)) {
    int status = run_child(body);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) TEST_FAIL("status %#x: %s", status, output);
    char *report = strchr(output, ' ');
    CHECK(report != NULL);
    CHECK_EQ(count_lines(report), 1);
    if (!names_number(report, atoi(output))) TEST_FAIL("does not name the coroutine: %s", output);
    return report;
}

/* How large a stack is that was asked for with 65,536 bytes, as the report says it. */
static const char *usable_size(void) {
    static char text[32];
    void *base;
    size_t size;
    int asked = spawn(nothing, NULL);
    CHECK_EQ(dyco_coroutine_setStack(asked, NULL, 65536), 1);
    CHECK_EQ(dyco_coroutine_getStack(asked, &base, &size), 1);
    CHECK(size >= 65536);
    dyco_schedule_free(NULL);
    snprintf(text, sizeof text, "%zu-byte", size);
    return text;
}

int main(void) {
    overflows(shared);
    overflows(own);
    overflows(own_after_switch);
    overflows(in_thread);
    overflows(own_in_thread);

    CHECK_EQ(run_child(handler_before), 42 << 8);
    CHECK(strstr(output, "handled\n") != NULL);
    CHECK_EQ(count_lines(output), 2); /* the library's line, and the handler's */
    CHECK_EQ(run_child(handler_after), 42 << 8);
    CHECK(strstr(output, "handled\n") != NULL);

    CHECK_EQ(run_child(other_fault) & 0x7f, SIGSEGV);
    CHECK_STR(output, "");
    CHECK_EQ(run_child(other_fault_own) & 0x7f, SIGSEGV);
    CHECK_STR(output, "");
    CHECK_EQ(run_child(fault_outside) & 0x7f, SIGSEGV);
    CHECK_STR(output, "");
    CHECK_EQ(run_child(other_fault_handled), 42 << 8);
    CHECK_STR(output, "handled\n");
    CHECK(strstr(overflows(own), usable_size()) != NULL);
    return test_done();
}
