// SPDX-License-Identifier: MIT OR Apache-2.0
//! A counting semaphore. A permit goes straight to who waits first, so nobody overtakes.

use super::queue::Queue;
use crate::sys::{Errno, Result, memory};

/// A semaphore.
pub struct Semaphore {
    permits: usize,
    queue: Queue,
}

/// Makes a semaphore of `permits`, at most INT_MAX (EINVAL).
pub fn create(permits: usize) -> Result<*mut Semaphore> {
    if permits > i32::MAX as usize {
        return Err(Errno(libc::EINVAL));
    }
    let semaphore = memory::zeroed::<Semaphore>()?.as_ptr();
    // SAFETY: fresh memory, which stays where it is.
    unsafe {
        (*semaphore).permits = permits;
        Queue::init(&raw mut (*semaphore).queue);
    }
    Ok(semaphore)
}

/// Takes a permit, waiting for one at most `timeout` milliseconds.
///
/// # Safety
/// `semaphore` came from [`create`] and is alive.
pub unsafe fn wait(semaphore: *mut Semaphore, timeout: i32) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*semaphore).permits > 0 {
            (*semaphore).permits -= 1;
        } else {
            // Who is woken has got the permit, whatever becomes of the semaphore.
            Queue::wait(&raw mut (*semaphore).queue, 0, timeout)?;
        }
    }
    Ok(())
}

/// Gives a permit. EOVERFLOW when there are INT_MAX.
///
/// # Safety
/// As for [`wait`].
pub unsafe fn signal(semaphore: *mut Semaphore) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        (*semaphore).queue.check_thread()?;
        if Queue::wake_first(&raw mut (*semaphore).queue) {
            return Ok(());
        }
        if (*semaphore).permits == i32::MAX as usize {
            return Err(Errno(libc::EOVERFLOW));
        }
        (*semaphore).permits += 1;
    }
    Ok(())
}

/// Ends the semaphore; who waits gets EIDRM.
///
/// # Safety
/// As for [`wait`]; it is not used again.
pub unsafe fn destroy(semaphore: *mut Semaphore) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        (*semaphore).queue.check_thread()?;
        Queue::close(&raw mut (*semaphore).queue);
        memory::free(semaphore);
    }
    Ok(())
}
