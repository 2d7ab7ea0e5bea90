// SPDX-License-Identifier: MIT OR Apache-2.0
// As create/dyco.c, with Boost.Fiber and its pooled stacks.
#include <boost/fiber/pooled_fixedsize_stack.hpp>

#include "../common/fiber.h"

static const int CROWD = 1000;
static uint64_t finished;

static void crowds(uint64_t loops)
{
    static boost::fibers::pooled_fixedsize_stack stacks(16384);
    while (loops--) {
        uint64_t before = finished;
        for (int i = 0; i < CROWD; i++)
            boost::fibers::fiber(std::allocator_arg, stacks, [] { finished++; }).detach();
        while (finished < before + CROWD)
            boost::this_fiber::yield();
    }
}

int main()
{
    measure(nullptr, crowds, CROWD);
    return 0;
}
