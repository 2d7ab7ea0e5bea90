/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A program that needs functions of the compiler's own library (128-bit division, complex and extended arithmetic,
 * atomics) links with ours in every way.
 */
#include "core.h"

#include <complex.h>

static void computes(void *argument) {
    volatile unsigned seven = 7;
    __int128 wide = (__int128)1234567891234567ll * 987654321 * seven;
    CHECK((long long)(wide / 987654321 / seven) == 1234567891234567ll);
    CHECK((long long)(wide % seven) == 0);
    volatile long double extended = 1.5L;
    extended = extended * seven / 3;
    CHECK(extended == 3.5L);
    volatile double complex number = 3 + 4 * I;
    number = number * number / (3 + 4 * I);
    CHECK(creal(number) == 3 && cimag(number) == 4);
    CHECK(__builtin_popcountll(0xf0f0ull << seven) == 8);
    CHECK(__atomic_add_fetch((int *)argument, 2, __ATOMIC_SEQ_CST) % 2 == 0);
}

int main(void) {
    static int sum;
    for (int i = 0; i < 5; i++) spawn(computes, &sum);
    run_all();
    CHECK_EQ(sum, 10);
    return test_done();
}
