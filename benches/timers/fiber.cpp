// SPDX-License-Identifier: MIT OR Apache-2.0
#include "storm.h"

#include "../common/fiber.h"

int main(int argc, char **argv)
{
    MUST(argc == 3);
    storm(atoi(argv[2]));
    for (int i = 0; i < atoi(argv[1]); i++)
        create([i] {
            struct sleeper s = {0, (uint32_t)i};
            while (uint32_t ms = next_sleep(&s))
                boost::this_fiber::sleep_for(std::chrono::milliseconds(ms));
            print_storm();
            fflush(stdout);
            _exit(0);
        });
    boost::this_fiber::sleep_for(std::chrono::hours(1));
}
