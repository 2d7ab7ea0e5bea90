/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* yield_st COUNT: as yield/dyco.c. st_usleep(0) is State Threads' way to give way. */
#include "../common/st.h"

static int count, done;

static __attribute__((noinline)) void turns(uint64_t most)
{
    while (most-- && !done)
        st_usleep(0);
}

static void *member(void *arg)
{
    turns(UINT64_MAX);
    return arg;
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    count = atoi(argv[1]);
    begin_st();
    for (int i = 1; i < count; i++)
        create(member, NULL);
    turns(2);
    measure(NULL, turns, count);
    exit(0);
}
