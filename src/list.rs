// SPDX-License-Identifier: MIT OR Apache-2.0
//! Intrusive doubly linked lists: the links live in the elements, so putting an element on a list and taking
//! it off again allocates nothing, costs O(1) and cannot fail.

use core::marker::PhantomPinned;
use core::ptr;

/// A place in at most one list. Zeroed (or unlinked) it is in none.
#[repr(C)]
pub struct Link {
    previous: *mut Link,
    next: *mut Link,
    /// Neighbours change a link while its owner is borrowed: so no `&mut` of what holds one is taken for unique.
    pinned: PhantomPinned,
}

/// A list, first in, first out. Its address must not change once it is initialised: the elements point to it.
#[repr(C)]
pub struct List {
    head: Link,
}

impl Link {
    /// Whether the link is in a list.
    #[inline(always)]
    pub fn is_linked(&self) -> bool {
        !self.next.is_null()
    }

    /// Takes `link` off its list; nothing happens when it is in none.
    ///
    /// # Safety
    /// `link` is valid; its neighbours and their list are too.
    #[inline(always)]
    pub unsafe fn unlink(link: *mut Link) {
        // SAFETY: linked elements have valid neighbours: whoever frees an element unlinks it first.
        unsafe {
            if (*link).next.is_null() {
                return;
            }
            (*(*link).previous).next = (*link).next;
            (*(*link).next).previous = (*link).previous;
            (*link).next = ptr::null_mut();
        }
    }
}

impl List {
    /// Makes the list empty; the first thing to do with zeroed memory.
    ///
    /// # Safety
    /// `list` is writable and stays where it is.
    pub unsafe fn init(list: *mut List) {
        // SAFETY: the caller's promise.
        unsafe {
            (*list).head.previous = &raw mut (*list).head;
            (*list).head.next = &raw mut (*list).head;
        }
    }

    /// Whether nothing is in the list.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        ptr::eq(self.head.next, &self.head)
    }

    /// Puts `link`, which is in no list, last.
    ///
    /// # Safety
    /// Both are valid, the list initialised.
    #[inline(always)]
    pub unsafe fn push_back(list: *mut List, link: *mut Link) {
        // SAFETY: the caller's promise; a list's elements are valid.
        unsafe {
            let head = &raw mut (*list).head;
            let last = (*head).previous;
            (*link).previous = last;
            (*link).next = head;
            (*last).next = link;
            (*head).previous = link;
        }
    }

    /// Puts `link`, which is in no list, first.
    ///
    /// # Safety
    /// Both are valid, the list initialised.
    pub unsafe fn push_front(list: *mut List, link: *mut Link) {
        // SAFETY: the caller's promise; a list's elements are valid.
        unsafe {
            let head = &raw mut (*list).head;
            let first = (*head).next;
            (*link).previous = head;
            (*link).next = first;
            (*first).previous = link;
            (*head).next = link;
        }
    }

    /// The first link, or null.
    #[inline(always)]
    pub fn first(&self) -> *mut Link {
        if self.is_empty() { ptr::null_mut() } else { self.head.next }
    }

    /// The link after `link`, or null.
    ///
    /// # Safety
    /// `link` is in this list.
    #[inline(always)]
    pub unsafe fn after(&self, link: *mut Link) -> *mut Link {
        // SAFETY: the caller's promise.
        let next = unsafe { (*link).next };
        if ptr::eq(next, &self.head) { ptr::null_mut() } else { next }
    }

    /// Takes the first link off, or returns null.
    ///
    /// # Safety
    /// The list is initialised and its elements are valid.
    #[inline(always)]
    pub unsafe fn pop_front(list: *mut List) -> *mut Link {
        // SAFETY: the caller's promise.
        unsafe {
            let head = &raw mut (*list).head;
            let first = (*head).next;
            if first == head {
                return ptr::null_mut();
            }
            let second = (*first).next;
            (*head).next = second;
            (*second).previous = head;
            (*first).next = ptr::null_mut();
            first
        }
    }
}
