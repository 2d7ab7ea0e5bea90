// SPDX-License-Identifier: MIT OR Apache-2.0
//! `system`, `popen` and `pclose`. Inside libc they wait by ways of its own, and nobody could tell their children from
//! others. So inside coroutines they are made of posix_spawn(3), which libc makes them of, too, and of our own wait for a
//! child. The spawning is done in place: the child inherits what belongs to the thread, down to the signal that it may have
//! asked to get when its parent's thread ends.

use core::ffi::{CStr, c_char, c_int};
use core::ptr;

use libc::{FILE, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t, sigset_t};

use super::{child, stream};
use crate::scheduler::children::ignored;
use crate::scheduler::children::kept::{self, Kept};
use crate::scheduler::offload::{Kind, Work};
use crate::scheduler::{self, Current};
use crate::sys::clock::NEVER;
use crate::sys::{Errno, Result, errno, memory, next};
use crate::{syscall, syscall_raw};

const SHELL: &CStr = c"/bin/sh";

unsafe extern "C" {
    static environ: *const *mut c_char;
}

/// What posix_spawn wants to be told: too much for a coroutine's stack.
struct Spawn {
    attributes: posix_spawnattr_t,
    actions: posix_spawn_file_actions_t,
    signals: sigset_t,
}

impl Spawn {
    fn new() -> Result<*mut Spawn> {
        let spawn = memory::zeroed::<Spawn>()?.as_ptr();
        // SAFETY: fresh memory; neither call fails.
        unsafe {
            libc::posix_spawnattr_init(&raw mut (*spawn).attributes);
            libc::posix_spawn_file_actions_init(&raw mut (*spawn).actions);
        }
        Ok(spawn)
    }

    /// The child's signal mask is the calling thread's, as it is now, and these are back to their defaults.
    unsafe fn set_signals(spawn: *mut Spawn, defaults: &[c_int]) {
        // SAFETY: the caller's promise: `spawn` is valid.
        unsafe {
            let (attributes, signals) = (&raw mut (*spawn).attributes, &raw mut (*spawn).signals);
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), signals);
            libc::posix_spawnattr_setsigmask(attributes, signals);
            libc::sigemptyset(signals);
            for &signal in defaults {
                libc::sigaddset(signals, signal);
            }
            libc::posix_spawnattr_setsigdefault(attributes, signals);
            let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
            libc::posix_spawnattr_setflags(attributes, flags as _);
        }
    }

    /// Starts the shell.
    unsafe fn shell(spawn: *mut Spawn, command: *const c_char) -> Result<pid_t> {
        let mut pid = 0;
        let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), c"--".as_ptr(), command, ptr::null()];
        // SAFETY: the caller's promise: `spawn` is valid and `command` a C string; nobody writes to the arguments.
        let result = unsafe {
            let (attributes, actions) = (&raw const (*spawn).attributes, &raw const (*spawn).actions);
            libc::posix_spawn(&mut pid, SHELL.as_ptr(), actions, attributes, arguments.as_ptr().cast(), environ)
        };
        if result == 0 { Ok(pid) } else { Err(Errno(result)) }
    }

    unsafe fn free(spawn: *mut Spawn) {
        // SAFETY: the caller's promise: `spawn` is valid and not used again.
        unsafe {
            libc::posix_spawnattr_destroy(&raw mut (*spawn).attributes);
            libc::posix_spawn_file_actions_destroy(&raw mut (*spawn).actions);
            memory::free(spawn);
        }
    }
}

/// `system`: the command's status; of NULL whether there is a shell.
///
/// # Safety
/// As libc's.
pub unsafe fn system(current: Current, command: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if command.is_null() {
            return c_int::from(run(current, c"exit 0".as_ptr()) == 0);
        }
        run(current, command)
    }
}

/// `system` outside coroutines: libc's own.
///
/// # Safety
/// As libc's.
pub unsafe fn system_outside(command: *const c_char) -> c_int {
    let counted = !scheduler::in_vfork_child() && ignored::libc_begins();
    // SAFETY: the caller's promise.
    let status = unsafe { next::system(command) };
    if counted {
        ignored::libc_ends();
    }
    status
}

/// A shell that could not be started is one that has ended with 127.
const NO_SHELL: c_int = 127 << 8;

unsafe fn run(current: Current, command: *const c_char) -> c_int {
    let fail = |result: c_int, error: Errno| {
        errno::set(error);
        result
    };
    let ignored = match current.begin_command() {
        Ok(ignored) => ignored,
        Err(error) => return fail(-1, error),
    };
    // SAFETY: the caller's promise.
    let status = unsafe { start(command, ignored) }.map_err(|error| (NO_SHELL, error)).and_then(|kept| {
        // It has just begun: there is a place for it.
        let _ = current.keep_command(kept);
        child::wait_kept(kept).map_err(|error| (-1, error))
    });
    current.end_command();
    status.unwrap_or_else(|(result, error)| fail(result, error))
}

/// `ignored`: whether SIGINT and SIGQUIT were before; then the command ignores them, too.
unsafe fn start(command: *const c_char, ignored: [bool; 2]) -> Result<*mut Kept> {
    let spawn = Spawn::new()?;
    let defaults: &[c_int] = match ignored {
        [true, true] => &[],
        [true, false] => &[libc::SIGQUIT],
        [false, true] => &[libc::SIGINT],
        [false, false] => &[libc::SIGINT, libc::SIGQUIT],
    };
    // SAFETY: `spawn` is ours; the caller's command.
    unsafe {
        Spawn::set_signals(spawn, defaults);
        let kept = kept::keep(ptr::null_mut(), false, || Spawn::shell(spawn, command));
        Spawn::free(spawn);
        kept
    }
}

/// What popen's mode asks for.
struct Mode {
    writes: bool,
    closes_on_exec: bool,
}

impl Mode {
    fn of(text: &CStr) -> Result<Mode> {
        let count = |letter: u8| text.to_bytes().iter().filter(|&&byte| byte == letter).count();
        let (reads, writes, others) = (count(b'r'), count(b'w'), count(b'e'));
        if reads + writes + others != text.count_bytes() || (reads > 0) == (writes > 0) {
            return Err(Errno(libc::EINVAL));
        }
        Ok(Mode { writes: writes > 0, closes_on_exec: others > 0 })
    }

    /// Of a pipe's two ends the program's, and then the command's.
    fn ends(&self, pipe: [c_int; 2]) -> (c_int, c_int) {
        if self.writes { (pipe[1], pipe[0]) } else { (pipe[0], pipe[1]) }
    }
}

/// `popen`.
///
/// # Safety
/// As libc's.
pub unsafe fn popen(command: *const c_char, mode: *const c_char) -> Result<*mut FILE> {
    // SAFETY: the caller's promise.
    let mode = Mode::of(unsafe { CStr::from_ptr(mode) })?;
    let mut pipe = [-1; 2];
    // SAFETY: two descriptors fit.
    unsafe { syscall!(SYS_pipe2, pipe.as_mut_ptr(), libc::O_CLOEXEC) }?;
    let (ours, theirs) = mode.ends(pipe);
    let name = if mode.writes { c"w" } else { c"r" };
    // SAFETY: `ours` is an open descriptor, and the stream's from now on.
    let file = unsafe { stream::fdopen(ours, name.as_ptr()) };
    let error = errno::get();
    if file.is_null() {
        close(ours);
        close(theirs);
        return Err(error);
    }
    // SAFETY: the caller's command; the stream is valid.
    let kept = unsafe { start_piped(command, file, theirs, &mode) };
    close(theirs);
    if let Err(error) = kept {
        // SAFETY: the stream is ours.
        unsafe { stream::fclose(file) };
        return Err(error);
    }
    if !mode.closes_on_exec {
        // SAFETY: no pointers.
        unsafe { syscall_raw!(SYS_fcntl, ours, libc::F_SETFD, 0) };
    }
    Ok(file)
}

unsafe fn start_piped(command: *const c_char, stream: *mut FILE, end: c_int, mode: &Mode) -> Result<()> {
    let spawn = Spawn::new()?;
    let standard = if mode.writes { libc::STDIN_FILENO } else { libc::STDOUT_FILENO };
    // SAFETY: `spawn` and the stream are valid; streams of kept children are, until pclose.
    unsafe {
        Spawn::set_signals(spawn, &[]);
        let kept = kept::keep(stream.cast(), mode.writes, || {
            let actions = &raw mut (*spawn).actions;
            let mut result = 0;
            // POSIX wants those of earlier calls closed in the child.
            kept::for_each_stream(&mut |stream| {
                let fd = libc::fileno(stream.cast());
                if fd >= 0 && fd != standard && result == 0 {
                    result = libc::posix_spawn_file_actions_addclose(actions, fd);
                }
            });
            if result == 0 {
                result = libc::posix_spawn_file_actions_adddup2(actions, end, standard);
            }
            if result != 0 {
                return Err(Errno(result));
            }
            Spawn::shell(spawn, command)
        });
        Spawn::free(spawn);
        kept.map(|_| ())
    }
}

fn close(fd: c_int) {
    // SAFETY: a descriptor of ours.
    unsafe { syscall_raw!(SYS_close, fd) };
}

/// Closing a stream may write what it holds back, and wait for a reader; libc's own pclose waits for the child, too.
struct Close {
    stream: *mut FILE,
    whole: bool,
    result: c_int,
}

impl Close {
    /// Does it on a helper, or here where there is none.
    fn close(self) -> c_int {
        if let Some(current) = scheduler::current().filter(|current| current.can_offload()) {
            match current.offload(Close { ..self }, NEVER) {
                Ok(done) => return done.result,
                // Begun in the parent of this forked child.
                Err(Errno(libc::ECANCELED)) => return -1,
                Err(_) => {}
            }
        }
        self.here()
    }

    fn here(mut self) -> c_int {
        self.run();
        self.result
    }
}

impl Work for Close {
    const KIND: Kind = Kind::Functions;
    fn run(&mut self) {
        // SAFETY: the caller's stream.
        self.result = unsafe { if self.whole { next::pclose(self.stream) } else { libc::fclose(self.stream) } };
    }
}

/// `pclose`, inside coroutines and outside.
///
/// # Safety
/// As libc's.
pub unsafe fn pclose(stream: *mut FILE) -> c_int {
    if scheduler::in_vfork_child() {
        // SAFETY: the caller's promise.
        return unsafe { next::pclose(stream) };
    }
    let kept = kept::take_stream(stream.cast());
    if kept.is_null() {
        return Close { stream, whole: true, result: 0 }.close();
    }
    let close = Close { stream, whole: false, result: 0 };
    // SAFETY: the stream's child is the caller's now.
    let flushed = if unsafe { (*kept).writes } { close.close() } else { close.here() };
    let keeper = scheduler::current().filter(|current| current.keep_command(kept).is_ok());
    let status = child::wait_kept(kept);
    match keeper {
        Some(current) => current.end_command(),
        // SAFETY: ours, and not used again.
        None => unsafe { kept::let_go(kept) },
    }
    match status {
        Ok(0) if flushed != 0 => -1,
        Ok(status) => status,
        Err(error) => {
            errno::set(error);
            -1
        }
    }
}
