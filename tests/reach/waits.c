/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A library that knows nothing of coroutines, and waits.
 */
#define _GNU_SOURCE
#include <unistd.h>

void library_waits(void) {
    usleep(150000);
}
