// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The three kinds of stack.
 *
 *   shared            the default. The live bytes of a parked coroutine are
 *                     copied away when another one needs the place: least
 *                     memory, but the address of a local variable must not be
 *                     given to another coroutine or thread.
 *   own               dyco_coroutine_setStack(cid, NULL, size): mapped by the
 *                     library, with a guard below it. Locals stay where they are.
 *   caller-supplied   dyco_coroutine_setStack(cid, memory, size): your memory,
 *                     used exactly as given and never freed by the library.
 *
 * setStack is called between the coroutine's creation and its first run.
 */
#include "dyco_coroutine.h"

static char my_memory[32 * 1024];

static void show_stack(const char *name)
{
    void *memory;
    size_t size;
    int kind = dyco_coroutine_getStack(dyco_coroutine_coroID(), &memory, &size);
    if (kind == 1)
        printf("%-16s own stack of %zu bytes%s\n", name, size, memory == my_memory ? ", in my_memory" : "");
    else
        printf("%-16s shared stack\n", name);
}

static void show(void *name)
{
    show_stack(name);
}

// An own stack may lend its locals to other coroutines.
static void add_one(void *counter)
{
    ++*(int *)counter;
}

static void lend_a_local(void *name)
{
    int counter = 0;
    show_stack(name);
    for (int i = 0; i < 3; i++)
        if (dyco_coroutine_create(add_one, &counter) < 0)
            return;
    dyco_coroutine_sleep(0); // the three run now
    printf("%-16s three others have counted up to %d in a local of this one\n", "", counter);
}

// Recursion that asks before it goes deeper. checkStack says 1 when more than
// 7/8 of the stack is in use.
static int descend(int depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    if (dyco_coroutine_checkStack() != 0)
        return depth;
    return descend(depth + 1) + (frame[0] - (char)depth);
}

static void careful(void *name)
{
    show_stack(name);
    printf("%-16s recursion stopped in time, %s\n", "", descend(0) > 50 ? "deep down" : "too early");
}

static int start(proc_coroutine function, const char *name)
{
    int cid = dyco_coroutine_create(function, (void *)name);
    if (cid < 0) {
        perror("dyco_coroutine_create");
        exit(1);
    }
    return cid;
}

static void give_stack(int cid, void *memory, size_t size)
{
    if (dyco_coroutine_setStack(cid, memory, size) < 0) {
        perror("dyco_coroutine_setStack");
        exit(1);
    }
}

int main(void)
{
    start(show, "default");

    give_stack(start(lend_a_local, "own"), NULL, 64 * 1024);

    give_stack(start(careful, "caller-supplied"), my_memory, sizeof my_memory);

    int cid = start(show, "cancelled");
    give_stack(cid, NULL, 64 * 1024);
    give_stack(cid, NULL, 0); // size 0: back to the shared stack

    return dyco_schedule_run();
}
