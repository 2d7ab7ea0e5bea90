/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* As create/dyco.c. */
#include "../common/st.h"

#define CROWD 1000

static uint64_t finished;

static void *nothing(void *arg)
{
    finished++;
    return arg;
}

static void crowds(uint64_t loops)
{
    while (loops--) {
        uint64_t before = finished;
        for (int i = 0; i < CROWD; i++)
            create(nothing, NULL);
        while (finished < before + CROWD)
            st_usleep(0);
    }
}

int main(void)
{
    begin_st();
    measure(NULL, crowds, CROWD);
    exit(0);
}
