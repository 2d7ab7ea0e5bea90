// flags: -frounding-math
/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The floating-point control state belongs to the coroutine: rounding mode, exceptions unmasked, flush to zero, the
 * x87's precision. Values in vector registers survive, too.
 */
#include "core.h"

#include <fenv.h>
#include <math.h>
#if defined __x86_64__
#include <xmmintrin.h>
#endif

static int finished;
static volatile double one = 1, three = 3;

/* What the mode makes of 1/3, in both kinds of arithmetic. */
static void rounds(int mode) {
    volatile double up = 0x1.5555555555556p-2, down = 0x1.5555555555555p-2;
    CHECK_EQ(fegetround(), mode);
    CHECK(one / three == (mode == FE_UPWARD ? up : down));
    CHECK(-one / three == (mode == FE_DOWNWARD ? -up : -down));
    volatile long double third = (long double)one / three, minus = -(long double)one / three;
    if (mode == FE_UPWARD) CHECK(third > -minus);
    if (mode == FE_DOWNWARD) CHECK(third < -minus);
    if (mode == FE_TONEAREST || mode == FE_TOWARDZERO) CHECK(third == -minus);
}

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static void own_mode(void *argument) {
    int mode = modes[(intptr_t)argument % 4];
    CHECK_EQ(fegetround(), FE_TONEAREST); /* as main's when it created this one, whoever ran last */
    CHECK_EQ(fesetround(mode), 0);
    volatile double kept = (double)(intptr_t)argument;
    double live[8];
    for (int i = 0; i < 8; i++) live[i] = kept * i;
    for (int i = 0; i < 20; i++) {
        rounds(mode);
        dyco_coroutine_sleep(i % 5 == 0);
        rounds(mode);
        for (int j = 0; j < 8; j++) CHECK(live[j] == kept * j);
    }
    finished++;
}

#if defined __x86_64__
static unsigned short control_word(void) {
    unsigned short word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static void single_precision(void *argument) {
    unsigned short word = (unsigned short)((control_word() & ~0x300) | (argument ? 0 : 0x200));
    unsigned csr = (_mm_getcsr() & ~0x3fu) | (argument ? 0x8040 : 0); /* flush to zero, denormals are zero */
    __asm__ volatile("fldcw %0" : : "m"(word));
    _mm_setcsr(csr);
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(control_word(), word);
        CHECK_EQ(_mm_getcsr() & 0xffc0, csr & 0xffc0);
        volatile double tiny = 0x1p-1050, half = 0.5;
        CHECK(((tiny * half) == 0) == (argument != NULL));
        dyco_coroutine_sleep(0);
    }
    finished++;
}
#else
static void single_precision(void *argument) {
    unsigned long control, wanted;
    __asm__ volatile("mrs %0, fpcr" : "=r"(wanted));
    if (argument) wanted |= 1ul << 24; /* flush to zero */
    __asm__ volatile("msr fpcr, %0" : : "r"(wanted));
    for (int i = 0; i < 50; i++) {
        __asm__ volatile("mrs %0, fpcr" : "=r"(control));
        CHECK_EQ(control, wanted);
        volatile double tiny = 0x1p-1050, half = 0.5;
        CHECK(((tiny * half) == 0) == (argument != NULL));
        dyco_coroutine_sleep(0);
    }
    finished++;
}
#endif

int main(void) {
    for (intptr_t i = 0; i < 40; i++) {
        int cid = spawn(own_mode, (void *)i);
        if (i % 2) CHECK_EQ(dyco_coroutine_setStack(cid, NULL, 32768), 1);
    }
    run_all();
    CHECK_EQ(finished, 40);
    rounds(FE_TONEAREST);

    for (int i = 0; i < 10; i++) spawn(single_precision, i % 2 ? &finished : NULL);
    run_all();
    CHECK_EQ(finished, 50);
    rounds(FE_TONEAREST);

    /* Main's own mode is there again after a run. */
    CHECK_EQ(fesetround(FE_UPWARD), 0);
    spawn(nothing, NULL);
    run_all();
    rounds(FE_UPWARD);
    return test_done();
}
