// SPDX-License-Identifier: MIT OR Apache-2.0
//! What libc keeps to itself and may not have: the seed is the answer where it has not.

use libc::{pthread_attr_t, size_t};

next_definitions! {
    fn __pthread_get_minstack(attributes: *const pthread_attr_t) -> size_t {
        let _ = attributes;
        libc::PTHREAD_STACK_MIN
    }
}
