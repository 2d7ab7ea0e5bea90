/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What it costs that coroutines wait for each other: each operation in a loop, in batches, with the allocations and the
 * system calls that go with it.
 *
 *     sync_dyco OPERATION own|shared
 */
#include "../common/calls.h"
#include "../common/dyco.h"

#define COUNTED 100000u /* loops in which allocations and system calls are counted */
#define MESSAGE 64
#define MEMBERS 8
#define SUBSCRIBERS 100
#define POOL 100

struct operation {
    const char *name;
    int per_loop; /* how many of what is measured */
    void (*start)(void);
    void (*prepare)(uint64_t loops); /* not measured; may be NULL */
    void (*work)(uint64_t loops);
};

static const struct operation *operation;
static uint64_t allocations, finished;
static char message[MESSAGE];

/* The program's definitions come before libc's, for the library too. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}

/* Channel: there and back, on a channel for each way. */

static dyco_channel *there, *back;

static void echo(void *arg)
{
    (void)arg;
    for (;;) {
        MUST(dyco_channel_recv(there, message, MESSAGE, -1) == MESSAGE);
        MUST(dyco_channel_send(back, message, MESSAGE, -1) == MESSAGE);
    }
}

static void start_ping_pong(void)
{
    MUST(there = dyco_channel_create(MESSAGE));
    MUST(back = dyco_channel_create(MESSAGE));
    create(echo, NULL);
}

static void ping_pong(uint64_t loops)
{
    while (loops--) {
        MUST(dyco_channel_send(there, message, MESSAGE, -1) == MESSAGE);
        MUST(dyco_channel_recv(back, message, MESSAGE, -1) == MESSAGE);
    }
}

/* Channel: one sends, another receives. */

static void receive_all(void *arg)
{
    (void)arg;
    for (;;)
        MUST(dyco_channel_recv(there, message, MESSAGE, -1) == MESSAGE);
}

static void start_stream(void)
{
    MUST(there = dyco_channel_create(MESSAGE));
    create(receive_all, NULL);
}

static void stream(uint64_t loops)
{
    while (loops--)
        MUST(dyco_channel_send(there, message, MESSAGE, -1) == MESSAGE);
}

/* Semaphore: one coroutine takes a permit and gives it back. */

static dyco_semaphore *mine, *theirs;

static void start_semaphore(void)
{
    MUST(mine = dyco_semaphore_create(1));
}

static void take_and_give(uint64_t loops)
{
    while (loops--) {
        MUST(dyco_semaphore_wait(mine, -1) == 0);
        MUST(dyco_semaphore_signal(mine) == 0);
    }
}

/* Semaphore: two coroutines hand the turn to each other. */

static void hand_back(void *arg)
{
    (void)arg;
    for (;;) {
        MUST(dyco_semaphore_wait(theirs, -1) == 0);
        MUST(dyco_semaphore_signal(mine) == 0);
    }
}

static void start_hand_over(void)
{
    MUST(mine = dyco_semaphore_create(0));
    MUST(theirs = dyco_semaphore_create(0));
    create(hand_back, NULL);
}

static void hand_over(uint64_t loops)
{
    while (loops--) {
        MUST(dyco_semaphore_signal(theirs) == 0);
        MUST(dyco_semaphore_wait(mine, -1) == 0);
    }
}

/* Waitgroup: as a barrier. Members cannot be done twice, so there is a group for each time; they are made before. */

static dyco_waitgroup **groups;
static uint64_t group_count;
static int members[MEMBERS];

static void meet(uint64_t loops)
{
    for (uint64_t i = 0; i < loops; i++) {
        MUST(dyco_waitgroup_done(groups[i]) == 1);
        MUST(dyco_waitgroup_wait(groups[i], 0, -1) == MEMBERS);
    }
}

static void meet_often(void *arg)
{
    (void)arg;
    for (;;) {
        MUST(dyco_semaphore_wait(theirs, -1) == 0);
        meet(group_count);
    }
}

static void start_waitgroup(void)
{
    MUST(theirs = dyco_semaphore_create(0));
    for (int i = 1; i < MEMBERS; i++)
        members[i] = create(meet_often, NULL);
}

static void prepare_groups(uint64_t loops)
{
    dyco_coroutine_sleep(0); /* who left the last group last */
    members[0] = dyco_coroutine_coroID();
    for (uint64_t i = 0; i < group_count; i++)
        dyco_waitgroup_destroy(&groups[i]);
    MUST(groups = realloc(groups, loops * sizeof *groups));
    group_count = loops;
    for (uint64_t i = 0; i < loops; i++) {
        MUST(groups[i] = dyco_waitgroup_create(MEMBERS));
        for (int k = 0; k < MEMBERS; k++)
            MUST(dyco_waitgroup_add(groups[i], members[k]) == 1);
    }
}

static void meet_all(uint64_t loops)
{
    for (int i = 1; i < MEMBERS; i++)
        MUST(dyco_semaphore_signal(theirs) == 0);
    meet(loops);
}

/* Publish and subscribe. */

static dyco_pubsubchannel *topic;

static void subscriber(void *arg)
{
    (void)arg;
    for (;;)
        MUST(dyco_pubsub_subscribe(topic, message, MESSAGE, -1) == MESSAGE);
}

static void start_subscribers(void)
{
    MUST(topic = dyco_pubsub_create(MESSAGE));
    for (int i = 0; i < operation->per_loop; i++)
        create(subscriber, NULL);
}

static void publish(uint64_t loops)
{
    while (loops--)
        MUST(dyco_pubsub_publish(topic, message, MESSAGE) == MESSAGE);
}

/* Pool: always somebody who waits for a coroutine. */

static dyco_coropool *pool;

static void nothing(void *arg)
{
    (void)arg;
    finished++;
}

static void start_pool(void)
{
    MUST(pool = dyco_coropool_create(POOL, own_stacks ? DYCO_DEFAULT_STACKSIZE : 0));
}

static void obtain(uint64_t loops)
{
    uint64_t before = finished;
    for (uint64_t i = 0; i < loops; i++)
        MUST(dyco_coropool_obtain(pool, nothing, NULL, -1) > 0);
    while (finished < before + loops)
        dyco_coroutine_sleep(0);
}

static const struct operation operations[] = {
    {"ping-pong", 2, start_ping_pong, NULL, ping_pong},
    {"stream", 1, start_stream, NULL, stream},
    {"semaphore", 1, start_semaphore, NULL, take_and_give},
    {"hand-over", 2, start_hand_over, NULL, hand_over},
    {"waitgroup", MEMBERS, start_waitgroup, prepare_groups, meet_all},
    {"publish-1", 1, start_subscribers, NULL, publish},
    {"publish-100", SUBSCRIBERS, start_subscribers, NULL, publish},
    {"pool", 1, start_pool, NULL, obtain},
};

static void print_counted(void)
{
    uint64_t loops = 1 + COUNTED / (uint64_t)operation->per_loop;
    double count = (double)loops * operation->per_loop;
    struct call_counter counter;
    int counting = count_calls(&counter, getpid());

    if (operation->prepare)
        operation->prepare(loops);
    uint64_t calls = calls_so_far(&counter) + 1 /* the next look */, allocated = allocations;
    operation->work(loops);
    allocated = allocations - allocated;
    calls = calls_so_far(&counter) - calls;
    figure("allocations", (double)allocated / count);
    if (counting)
        figure("system calls", (double)calls / count);
}

static void timekeeper(void *arg)
{
    (void)arg;
    measure(operation->prepare, operation->work, operation->per_loop);
    print_counted();
    dyco_schedcall_stop();
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(argv[1], operations[i].name) == 0)
            operation = &operations[i];
    MUST(operation);
    choose_stacks(argv[2]);
    operation->start();
    create(timekeeper, NULL);
    MUST(dyco_schedule_run() == 1); /* stopped */
    return 0;
}
