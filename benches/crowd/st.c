/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* crowd_st COUNT: as crowd/dyco.c, on a condition variable, once. */
#include "../common/st.h"

#include <unistd.h>

static st_cond_t gate;
static int arrived, gone;

static void *member(void *arg)
{
    arrived++;
    MUST(st_cond_wait(gate) == 0);
    gone++;
    return arg;
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    int count = atoi(argv[1]);
    begin_st();
    MUST(gate = st_cond_new());
    double before = resident(getpid());
    uint64_t begin = cpu_ns();
    for (int i = 0; i < count; i++)
        create(member, NULL);
    uint64_t created = cpu_ns();
    while (arrived < count)
        st_usleep(0);
    figure("create ns", (double)(created - begin) / count);
    figure("wait ns", (double)(cpu_ns() - created) / count);
    figure("bytes", (resident(getpid()) - before) / count);
    begin = cpu_ns();
    MUST(st_cond_broadcast(gate) == 0);
    while (gone < count)
        st_usleep(0);
    figure("wake and end ns", (double)(cpu_ns() - begin) / count);
    exit(0);
}
