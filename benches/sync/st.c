/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sync_st hand-over: two threads pass the turn by condition variables, State Threads' only way. */
#include "../common/st.h"

static st_cond_t mine, theirs;
static int my_turn;

static void *hand_back(void *arg)
{
    for (;;) {
        while (my_turn)
            MUST(st_cond_wait(theirs) == 0);
        my_turn = 1;
        MUST(st_cond_signal(mine) == 0);
    }
    return arg;
}

static void hand_over(uint64_t loops)
{
    while (loops--) {
        my_turn = 0;
        MUST(st_cond_signal(theirs) == 0);
        while (!my_turn)
            MUST(st_cond_wait(mine) == 0);
    }
}

int main(int argc, char **argv)
{
    MUST(argc == 2 && strcmp(argv[1], "hand-over") == 0);
    begin_st();
    MUST(mine = st_cond_new());
    MUST(theirs = st_cond_new());
    my_turn = 1;
    create(hand_back, NULL);
    measure(NULL, hand_over, 2);
    exit(0);
}
