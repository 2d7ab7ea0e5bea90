// SPDX-License-Identifier: MIT OR Apache-2.0
// Boost.Context's bare switch: no current coroutine, no result to check.
#include <boost/context/detail/fcontext.hpp>

#include "../common/bench.h"

namespace context = boost::context::detail;

static context::fcontext_t generator;
alignas(16) static char stack[65536];

static void generate(context::transfer_t from)
{
    for (;;)
        from = context::jump_fcontext(from.fctx, nullptr);
}

static void resume(uint64_t loops)
{
    while (loops--)
        generator = context::jump_fcontext(generator, nullptr).fctx;
}

int main()
{
    generator = context::make_fcontext(stack + sizeof stack, sizeof stack, generate);
    measure(nullptr, resume, 2);
    return 0;
}
