// SPDX-License-Identifier: MIT OR Apache-2.0
// yield_fiber COUNT: as yield/dyco.c, with Boost.Fiber.
#include "../common/fiber.h"

static bool done;

static void turns(uint64_t most)
{
    while (most-- && !done)
        boost::this_fiber::yield();
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    int count = atoi(argv[1]);
    for (int i = 1; i < count; i++)
        create([] { turns(UINT64_MAX); });
    turns(2);
    measure(nullptr, turns, count);
    fflush(stdout);
    _exit(0);
}
