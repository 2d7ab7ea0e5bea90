// SPDX-License-Identifier: MIT OR Apache-2.0
//! A waitgroup: members report that they are done, others wait until enough have.

use super::queue::Queue;
use crate::scheduler;
use crate::sys::{Errno, Result, memory};

/// The tag of a waiter that waits for all members; other tags are numbers of members. When woken it becomes the number that
/// is done.
const ALL: u32 = 0;

/// A member that is done keeps its place, marked by the sign of its cid.
const FREE: i32 = 0;

/// A waitgroup. Its members are a hash table of cids, open addressing, at most half full.
pub struct WaitGroup {
    table: *mut i32,
    capacity: usize,
    members: usize,
    done: usize,
    /// The smallest target that somebody waits for: below it nobody has to be looked at.
    next_target: usize,
    waiters: Queue,
}

/// Makes a waitgroup for about `expected` members.
pub fn create(expected: usize) -> Result<*mut WaitGroup> {
    let group = memory::zeroed::<WaitGroup>()?.as_ptr();
    // SAFETY: fresh memory, which stays where it is.
    unsafe {
        Queue::init(&raw mut (*group).waiters);
        (*group).next_target = usize::MAX;
        if let Err(errno) = (*group).rehash(expected.clamp(8, 1 << 20) * 2) {
            memory::free(group);
            return Err(errno);
        }
    }
    Ok(group)
}

/// Makes a live coroutine of this thread a member; false when it was one. ESRCH: there is no such coroutine.
///
/// # Safety
/// `group` came from [`create`] and is alive.
pub unsafe fn add(group: *mut WaitGroup, cid: i32) -> Result<bool> {
    scheduler::sched_count(cid)?;
    // SAFETY: the caller's promise.
    unsafe { (*group).insert(cid) }
}

/// The calling coroutine is done; false when it is no member or was done. EPERM outside coroutines.
///
/// # Safety
/// As for [`add`].
pub unsafe fn done(group: *mut WaitGroup) -> Result<bool> {
    let cid = scheduler::current_cid().ok_or(Errno(libc::EPERM))?;
    // SAFETY: the caller's promise; `slot` is within the table.
    unsafe {
        (*group).waiters.check_thread()?;
        let slot = (*group).slot(cid);
        if *slot != cid {
            return Ok(false);
        }
        *slot = -cid;
        (*group).done += 1;
        (*group).wake_satisfied();
    }
    Ok(true)
}

/// Waits until `target` members are done (0: all); returns how many are. With `timeout` 0: how many are done now.
///
/// # Safety
/// As for [`add`].
pub unsafe fn wait(group: *mut WaitGroup, target: u32, timeout: i32) -> Result<usize> {
    // SAFETY: the caller's promise. After a wait the group is not touched: who was woken first may have destroyed it.
    unsafe {
        if timeout != 0 && !(*group).is_satisfied(target) {
            if target != ALL {
                (*group).next_target = (*group).next_target.min(target as usize);
            }
            return Ok(Queue::wait(&raw mut (*group).waiters, target, timeout)? as usize);
        }
        Ok((*group).done)
    }
}

/// Ends the group; who waits gets EIDRM.
///
/// # Safety
/// As for [`add`]; it is not used again.
pub unsafe fn destroy(group: *mut WaitGroup) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe {
        (*group).waiters.check_thread()?;
        Queue::close(&raw mut (*group).waiters);
        memory::free((*group).table);
        memory::free(group);
    }
    Ok(())
}

impl WaitGroup {
    fn is_satisfied(&self, target: u32) -> bool {
        if target == ALL { self.done == self.members } else { self.done >= target as usize }
    }

    /// # Safety
    /// `self` is in place and its waiters are this thread's.
    unsafe fn wake_satisfied(&mut self) {
        if self.done != self.members && self.done < self.next_target {
            return;
        }
        let (done, all) = (self.done, self.done == self.members);
        let mut next = usize::MAX;
        // SAFETY: the caller's promise.
        unsafe {
            Queue::wake_where(&raw mut self.waiters, &mut |tag| {
                let target = *tag;
                let woken = if target == ALL { all } else { done >= target as usize };
                if woken {
                    *tag = done as u32;
                } else if target != ALL {
                    next = next.min(target as usize);
                }
                woken
            });
        }
        self.next_target = next;
    }

    /// Where `cid` is, done or not, or would be put.
    fn slot(&self, cid: i32) -> *mut i32 {
        let mut index = cid as usize & (self.capacity - 1);
        loop {
            // SAFETY: the capacity is a power of two; at most half of the places are taken, so the search ends.
            unsafe {
                let slot = self.table.add(index);
                if *slot == FREE || *slot == cid || *slot == -cid {
                    return slot;
                }
            }
            index = (index + 1) & (self.capacity - 1);
        }
    }

    fn insert(&mut self, cid: i32) -> Result<bool> {
        if (self.members + 1) * 2 > self.capacity {
            self.rehash(self.capacity * 2)?;
        }
        let slot = self.slot(cid);
        // SAFETY: `slot` is within the table.
        unsafe {
            if *slot != FREE {
                return Ok(false);
            }
            *slot = cid;
        }
        self.members += 1;
        Ok(true)
    }

    fn rehash(&mut self, capacity: usize) -> Result<()> {
        let capacity = capacity.next_power_of_two();
        let old = (self.table, self.capacity);
        self.table = memory::array_zeroed::<i32>(capacity)?.as_ptr();
        self.capacity = capacity;
        for index in 0..old.1 {
            // SAFETY: `index` is within the old table, the slot within the new one.
            unsafe {
                let member = *old.0.add(index);
                if member != FREE {
                    *self.slot(member.abs()) = member;
                }
            }
        }
        // SAFETY: the old table is null or ours.
        unsafe { memory::free(old.0) };
        Ok(())
    }
}
