/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "../dyco_coroutine.h"
