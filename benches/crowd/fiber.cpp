// SPDX-License-Identifier: MIT OR Apache-2.0
// crowd_fiber COUNT: as crowd/dyco.c, on a condition variable, once. The stacks have no guards.
#include "../common/fiber.h"

static boost::fibers::mutex lock;
static boost::fibers::condition_variable gate;
static int arrived, gone;
static bool is_open;

int main(int argc, char **argv)
{
    MUST(argc == 2);
    int count = atoi(argv[1]);
    double before = resident(getpid());
    uint64_t begin = cpu_ns();
    for (int i = 0; i < count; i++)
        create([] {
            std::unique_lock<boost::fibers::mutex> held(lock);
            arrived++;
            gate.wait(held, [] { return is_open; });
            gone++;
        });
    uint64_t created = cpu_ns();
    while (arrived < count)
        boost::this_fiber::yield();
    figure("create ns", (double)(created - begin) / count);
    figure("wait ns", (double)(cpu_ns() - created) / count);
    figure("bytes", (resident(getpid()) - before) / count);
    begin = cpu_ns();
    is_open = true;
    gate.notify_all();
    while (gone < count)
        boost::this_fiber::yield();
    figure("wake and end ns", (double)(cpu_ns() - begin) / count);
    fflush(stdout);
    _exit(0);
}
