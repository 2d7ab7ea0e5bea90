// SPDX-License-Identifier: MIT OR Apache-2.0
// Boost.Fiber, round robin on one thread, small stacks.
#ifndef BENCH_FIBER_H
#define BENCH_FIBER_H

#include <unistd.h>

#include <boost/fiber/all.hpp>

#include "bench.h"

template <class Function> void create(Function function)
{
    boost::fibers::fiber(std::allocator_arg, boost::fibers::fixedsize_stack(16384), function).detach();
}

#endif
