// SPDX-License-Identifier: MIT OR Apache-2.0
// sync_fiber ping-pong|stream|hand-over: as sync/dyco.c. Boost.Fiber has no semaphore: a condition variable hands over.
#include "../common/fiber.h"

struct message {
    char bytes[64];
};

// The smallest that there is: room for one.
static boost::fibers::buffered_channel<message> there(2), back(2);
static boost::fibers::mutex lock;
static boost::fibers::condition_variable mine, theirs;
static bool my_turn = true;

static void echo()
{
    message m;
    for (;;) {
        there.pop(m);
        back.push(m);
    }
}

static void ping_pong(uint64_t loops)
{
    message m = {};
    while (loops--) {
        there.push(m);
        back.pop(m);
    }
}

static void receive_all()
{
    message m;
    for (;;)
        there.pop(m);
}

static void stream(uint64_t loops)
{
    message m = {};
    while (loops--)
        there.push(m);
}

static void hand_back()
{
    std::unique_lock<boost::fibers::mutex> held(lock);
    for (;;) {
        theirs.wait(held, [] { return !my_turn; });
        my_turn = true;
        mine.notify_one();
    }
}

static void hand_over(uint64_t loops)
{
    std::unique_lock<boost::fibers::mutex> held(lock);
    while (loops--) {
        my_turn = false;
        theirs.notify_one();
        mine.wait(held, [] { return my_turn; });
    }
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    if (strcmp(argv[1], "ping-pong") == 0) {
        create(echo);
        measure(nullptr, ping_pong, 2);
    } else if (strcmp(argv[1], "stream") == 0) {
        create(receive_all);
        measure(nullptr, stream, 1);
    } else {
        create(hand_back);
        measure(nullptr, hand_over, 2);
    }
    fflush(stdout);
    _exit(0);
}
