/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "storm.h"

#include "../common/st.h"

static void *sleeper(void *random)
{
    struct sleeper s = {.random = (uint32_t)(uintptr_t)random};
    uint32_t ms;

    while ((ms = next_sleep(&s)))
        st_usleep(ms * 1000u);
    print_storm();
    exit(0);
}

int main(int argc, char **argv)
{
    MUST(argc == 3);
    begin_st();
    for (int i = 0; i < atoi(argv[1]); i++)
        create(sleeper, (void *)(intptr_t)i);
    storm(atoi(argv[2]));
    st_thread_exit(NULL);
}
