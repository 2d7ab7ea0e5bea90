/*
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libdyco: stackful coroutines for Linux.
 *
 * Plain blocking code, one function per connection, at the speed of an
 * event loop. Link with -ldyco.
 *
 * Errors    A failing call returns what its comment says and sets errno;
 *           it never prints, aborts or exits.
 * Timeouts  are in milliseconds of the monotonic clock: a negative one
 *           waits for ever, 0 does not wait. A wait never ends early.
 * Waiting   Inside a coroutine a call that has to wait parks this
 *           coroutine only, and all others go on. Outside a coroutine it
 *           behaves as its ordinary counterpart: dyco_recv() as recv().
 * Threads   A coroutine belongs to the thread that made it.
 *
 * Generated from src/capi/ by `make header`; edit the Rust sources, not
 * this file.
 */

#ifndef DYCO_COROUTINE_H
#define DYCO_COROUTINE_H

/* What this API is made of, and what programs written for it expect to get. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h> /* sigset_t, where <signal.h> hides it */
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* This header's version; dyco_version() tells that of the library. */
#define DYCO_VERSION "v3.0.0"

/* The library was built with the hooks: the libc calls that wait for a
 * peer, a timer or a child (recv, read, poll ...) park their coroutine only. */
#define COROUTINE_HOOK 1

/* The library was built with the TLS calls; they are declared where a program
 * asks for them, because they need OpenSSL's headers. */
#define DYCO_SSL_ENABLE 1
#ifdef DYCO_SSL_OK
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

/* ---- Helpers for programs -----------------------------------------------
 * Statements that stay in every build, also under NDEBUG.
 */

/** Says where, and ends the program. */
#define DYCO_ABORT() \
    do { \
        fprintf(stderr, "%s:%d: aborted: %s\n", __FILE__, __LINE__, \
                strerror(errno)); \
        abort(); \
    } while (0)

/** Ends the program unless x holds. */
#define DYCO_MUST(x) \
    do { \
        if (!(x)) { \
            fprintf(stderr, "%s:%d: must hold: %s: %s\n", __FILE__, \
                    __LINE__, #x, strerror(errno)); \
            abort(); \
        } \
    } while (0)

/** Ends the program if x holds. */
#define DYCO_MUSTNOT(x) \
    do { \
        if (x) { \
            fprintf(stderr, "%s:%d: must not hold: %s: %s\n", __FILE__, \
                    __LINE__, #x, strerror(errno)); \
            abort(); \
        } \
    } while (0)

/** Prints msg, a string, if x holds; the program goes on. */
#define DYCO_WARNIF(x, msg) \
    do { \
        if (x) \
            fprintf(stderr, "%s:%d: warning: %s: %s\n", __FILE__, \
                    __LINE__, #x, (msg)); \
    } while (0)

/* ---- Types and constants ------------------------------------------------
 */

/**
 * Bytes of a scheduler's shared stack, unless dyco_schedule_create() is
 * told otherwise.
 */
#define DYCO_MAX_STACKSIZE (64 * 1024)

/**
 * Bytes that are a good size for a coroutine's own stack.
 */
#define DYCO_DEFAULT_STACKSIZE (16 * 1024)

/**
 * Bytes of the longest message of a channel that is created with size 0.
 */
#define DYCO_DEFAULT_CHANNELSIZE 256

/**
 * Events that a scheduler takes from the kernel at a time.
 */
#define DYCO_MAX_EVENTS 1024

/**
 * Urgent coroutines that run in a row while ordinary ones are ready.
 */
#define DYCO_URGENT_MAXEXEC 128

/**
 * Turns that an ordinary coroutine may have to wait for urgent ones.
 */
#define DYCO_URGENT_MAXWAIT 128

/**
 * A channel that holds one message.
 */
typedef struct dyco_channel dyco_channel;

/**
 * A pool of coroutines.
 */
typedef struct dyco_coropool dyco_coropool;

/**
 * A coroutine. Functions name it by its cid.
 */
typedef struct dyco_coroutine dyco_coroutine;

/**
 * A channel whose messages go to all that wait.
 */
typedef struct dyco_pubsubchannel dyco_pubsubchannel;

/**
 * A thread's scheduler.
 */
typedef struct dyco_schedule dyco_schedule;

/**
 * A counting semaphore.
 */
typedef struct dyco_semaphore dyco_semaphore;

/**
 * A group of coroutines that others wait for.
 */
typedef struct dyco_waitgroup dyco_waitgroup;

/**
 * A coroutine's function. The coroutine ends when it returns.
 */
typedef void (*proc_coroutine)(void *arg);

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/* ---- Version ------------------------------------------------------------
 */

/**
 * The version of the library that the program runs with, as "v3.0.0".
 *
 * DYCO_VERSION is that of the header it was compiled with. The string is
 * the library's and stays valid.
 */
const char *dyco_version(void);

/* ---- Coroutines ---------------------------------------------------------
 * A coroutine is a function with a stack of its own, named by its cid:
 * a positive number, unique among the live coroutines of its thread. It
 * runs in the thread that made it; elsewhere its cid is unknown (ESRCH).
 */

/**
 * Creates a coroutine that will run func(arg).
 *
 * It starts when the scheduler next reaches it, after those that were
 * created before it; see dyco_schedule_run(). Unless it gets a stack of
 * its own (dyco_coroutine_setStack()), it runs on one that the thread's
 * coroutines share. May be called inside and outside coroutines; does
 * not wait. The thread's scheduler is made if it has none.
 *
 * @param func what the coroutine runs; it ends when func returns
 * @param arg  handed to func as it is; may be NULL
 * @return the cid (> 0), or -1 and errno:
 *         EINVAL func is NULL; ENOMEM out of memory
 */
int dyco_coroutine_create(proc_coroutine func, void *arg);

/**
 * As dyco_coroutine_create(), and the coroutine is urgent from the start.
 *
 * @param func what the coroutine runs
 * @param arg  handed to func as it is; may be NULL
 * @return the cid (> 0), or -1 and errno, as dyco_coroutine_create()
 */
int dyco_coroutine_create_urgent(proc_coroutine func, void *arg);

/**
 * Sleeps for at least msecs milliseconds of the monotonic clock.
 *
 * Only the calling coroutine waits. With 0 it gives way: it goes to the
 * tail of the ready queue, and the others that are ready run first.
 * Signals do not cut the sleep short. Outside a coroutine the thread
 * sleeps. errno is left alone.
 *
 * @param msecs milliseconds; 0 gives way only
 */
void dyco_coroutine_sleep(uint32_t msecs);

/**
 * Ends the calling coroutine at once, as if its function had returned.
 *
 * Does not return. Other coroutines are not touched. C++ destructors and
 * cleanup handlers of the coroutine are not run. Outside a coroutine it
 * does nothing and returns.
 */
void dyco_coroutine_abort(void);

/**
 * Waits until fd can be read: data, a connection to accept, end of file,
 * or an error or hang-up, as poll() with POLLIN reports them.
 *
 * Only the calling coroutine waits; outside a coroutine the thread does.
 * Any number of coroutines may wait for one fd, in either direction, and
 * each is woken. A regular file is always ready.
 *
 * @param fd      any descriptor that poll() knows
 * @param timeout milliseconds; negative waits for ever, 0 only looks
 * @return > 0 ready, 0 timeout, or -1 and errno:
 *         EBADF fd is not open, or was closed during the wait;
 *         ENOMEM out of memory; EINTR outside a coroutine only
 */
int dyco_coroutine_waitRead(int fd, int timeout);

/**
 * Waits until fd can be written, or has an error or hang-up, as poll()
 * with POLLOUT reports them. Otherwise as dyco_coroutine_waitRead().
 *
 * @param fd      any descriptor that poll() knows
 * @param timeout milliseconds; negative waits for ever, 0 only looks
 * @return > 0 ready, 0 timeout, or -1 and errno
 */
int dyco_coroutine_waitWrite(int fd, int timeout);

/**
 * Waits until fd can be read or written, whichever comes first, or has an
 * error or hang-up. Otherwise as dyco_coroutine_waitRead().
 *
 * @param fd      any descriptor that poll() knows
 * @param timeout milliseconds; negative waits for ever, 0 only looks
 * @return > 0 ready, 0 timeout, or -1 and errno
 */
int dyco_coroutine_waitRW(int fd, int timeout);

/**
 * The cid of the calling coroutine.
 *
 * @return the cid (> 0), or -1 and EPERM outside a coroutine
 */
int dyco_coroutine_coroID(void);

/**
 * Gives a coroutine that has not run yet a stack of its own.
 *
 * The library's own frames need less than 1 KiB of it; the rest is for
 * the program and what it calls: printf("%f") takes some 2 KiB, writing
 * to the unbuffered stderr some 10 KiB. Does not wait.
 *
 * @param cid       a coroutine of this thread
 * @param stackptr  NULL: the library allocates the stack, at least
 *                  stacksize bytes, 16 KiB or more, with a guard page
 *                  below it, and frees it with the coroutine.
 *                  Otherwise the lowest address of memory of the
 *                  caller, which is used exactly as given, must stay
 *                  valid until the coroutine has ended, and is not freed
 * @param stacksize bytes, of the caller's memory at least 2048;
 *                  0 goes back to the shared stack
 * @return 1 set, 0 back to the shared stack, or -1 and errno:
 *         ESRCH no such coroutine; EBUSY it has run already;
 *         EINVAL stacksize too small or absurd; ENOMEM out of memory
 */
int dyco_coroutine_setStack(int cid, void *stackptr, size_t stacksize);

/**
 * Tells the stack of a coroutine.
 *
 * @param cid       a coroutine of this thread
 * @param stackptr  gets the lowest address of its own stack, or NULL if
 *                  it is on the shared stack; may be NULL
 * @param stacksize gets the size of its own stack in bytes, or 0;
 *                  may be NULL
 * @return 1 own stack, 0 shared stack, or -1 and errno:
 *         ESRCH no such coroutine
 */
int dyco_coroutine_getStack(int cid, void **stackptr, size_t *stacksize);

/**
 * Tells whether the calling coroutine's stack is nearly used up.
 *
 * The same check runs whenever a coroutine waits or gives way. One that
 * has already overflowed a stack of the caller is ended.
 *
 * @return 0 safe, 1 when over 7/8 of the stack is in use, or -1 and
 *         EPERM outside a coroutine
 */
int dyco_coroutine_checkStack(void);

/**
 * Attaches a pointer of the program to a coroutine.
 *
 * @param cid   a coroutine of this thread
 * @param udata any pointer; the library does not look at it
 * @return 0, or -1 and errno: ESRCH no such coroutine
 */
int dyco_coroutine_setUdata(int cid, void *udata);

/**
 * Fetches the pointer that dyco_coroutine_setUdata() attached.
 *
 * @param cid   a coroutine of this thread
 * @param udata gets the pointer, NULL if none was attached
 * @return 0, or -1 and errno:
 *         ESRCH no such coroutine; EINVAL udata is NULL
 */
int dyco_coroutine_getUdata(int cid, void **udata);

/**
 * How often a coroutine has waited or given way so far.
 *
 * @param cid a coroutine of this thread
 * @return the count, or -1 and errno: ESRCH no such coroutine
 */
int dyco_coroutine_getSchedCount(int cid);

/**
 * Makes a coroutine urgent: when ready it runs before ordinary ones, but
 * after DYCO_URGENT_MAXEXEC urgent turns in a row an ordinary one runs.
 *
 * @param cid a coroutine of this thread
 * @return 0, or -1 and errno: ESRCH no such coroutine
 */
int dyco_coroutine_setUrgent(int cid);

/**
 * Makes a coroutine an ordinary one again.
 *
 * @param cid a coroutine of this thread
 * @return 0, or -1 and errno: ESRCH no such coroutine
 */
int dyco_coroutine_unsetUrgent(int cid);

/**
 * Tells whether a coroutine is asymmetric: not scheduled, but resumed by
 * another.
 *
 * @param cid a coroutine of this thread
 * @return 1 yes, 0 no, or -1 and errno: ESRCH no such coroutine
 */
int dyco_coroutine_isasymmetric(int cid);

/* ---- Pools --------------------------------------------------------------
 * A pool limits how many coroutines work at a time, and reuses them and
 * their stacks.
 */

/**
 * Creates a pool of coroutines.
 *
 * @param totalsize how many: at least 1
 * @param stacksize bytes of the stack of each; 0: they run on the shared
 *                  stack
 * @return the pool, or NULL and errno: EINVAL totalsize is less than 1, or
 *         stacksize absurd; ENOMEM
 */
dyco_coropool *dyco_coropool_create(int totalsize, size_t stacksize);

/**
 * Changes how many coroutines a pool has.
 *
 * Growing wakes those that wait for one. Shrinking below the number of
 * active ones takes effect as they come back.
 *
 * @param cp      the pool
 * @param newsize how many: at least 1
 * @return cp, or NULL and errno: EINVAL; ENOMEM; EPERM coroutines of
 *         another thread are active
 */
dyco_coropool *dyco_coropool_resize(dyco_coropool *cp, int newsize);

/**
 * Destroys a pool. Sets *cp to NULL.
 *
 * @param cp where the program keeps the pool
 * @return 0, or -1 and errno: EINVAL NULL; EBUSY a coroutine of it is
 *         active: the pool is unharmed; EPERM it belongs to another thread
 */
int dyco_coropool_destroy(dyco_coropool **cp);

/**
 * Tells how many coroutines of a pool are free.
 *
 * @param cp the pool
 * @return their number, or -1 and errno: EINVAL cp is NULL
 */
int dyco_coropool_available(dyco_coropool *cp);

/**
 * Obtains a coroutine of the pool and lets it run func(arg), waiting for a
 * free one if need be. First come, first served. It goes back to the pool
 * when it ends, however it ends.
 *
 * Outside a coroutine it obtains one if one is free.
 *
 * @param cp      the pool
 * @param func    what the coroutine runs
 * @param arg     handed to func as it is; may be NULL
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return the cid; 0 none came free in time; -1 and errno: EINVAL NULL;
 *         ENOMEM; EPERM it would have to wait outside a coroutine, or
 *         coroutines of another thread are active
 */
int dyco_coropool_obtain(dyco_coropool *cp,
                         proc_coroutine func,
                         void *arg,
                         int timeout);

/**
 * As dyco_coropool_obtain(), and the coroutine is urgent.
 *
 * @param cp      the pool
 * @param func    what the coroutine runs
 * @param arg     handed to func as it is; may be NULL
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return as dyco_coropool_obtain()
 */
int dyco_coropool_obtain_urgent(dyco_coropool *cp,
                                proc_coroutine func,
                                void *arg,
                                int timeout);

/* ---- Scheduler ----------------------------------------------------------
 * Each thread has its own scheduler, made on first use and freed with the
 * thread. A program creates its first coroutines and then calls
 * dyco_schedule_run(), which runs them until all have ended.
 */

/**
 * Runs this thread's coroutines, those created meanwhile included, until
 * all have ended.
 *
 * Waits in the kernel while none is ready. When every coroutine left
 * waits for something that nothing can ever signal, it does not hang: it
 * names them in one line on stderr and returns -1 with EDEADLK. They
 * stay, and dyco_schedule_run() may be called again after something has
 * changed.
 *
 * It is no cancellation point, and neither are the calls inside
 * coroutines: pthread_cancel() of its thread takes effect when it has
 * returned. A thread may end inside a coroutine (pthread_exit): that
 * unwinds this coroutine's frames only; what the thread's destructors then
 * call is called outside coroutines.
 *
 * @return  0 all have ended, or there were none;
 *          1 stopped by dyco_schedcall_stop();
 *         -1 ended by dyco_schedcall_abort() (errno ECANCELED), or an
 *            error: EBUSY called inside a coroutine; EDEADLK as above;
 *            ENOMEM out of memory;
 *         -2 and ESRCH: the thread has no scheduler, or nothing was
 *            created since an abort
 */
int dyco_schedule_run(void);

/**
 * Makes this thread's scheduler, for other settings than the default.
 *
 * Without this call the first coroutine makes it. Does not wait.
 *
 * @param stack_size       bytes of a shared stack, to which coroutines
 *                         without a stack of their own are limited;
 *                         0 for DYCO_MAX_STACKSIZE; at least 16 KiB
 *                         whatever is asked for
 * @param loopwait_timeout milliseconds, the longest that an idle loop
 *                         waits before it looks again for coroutines to
 *                         start; 0 for the default
 * @return 0, or -1 and errno: EEXIST the thread has a scheduler;
 *         EINVAL stack_size over 1 GiB; ENOMEM out of memory
 */
int dyco_schedule_create(size_t stack_size, uint64_t loopwait_timeout);

/**
 * Frees a scheduler that is not running, with all coroutines that it still
 * holds; their destructors and cleanup handlers are not run.
 *
 * On an error nothing is freed, and errno is set: EBUSY it is running;
 * EINVAL it is not this thread's.
 *
 * @param sched this thread's scheduler; NULL means that one too
 */
void dyco_schedule_free(dyco_schedule *sched);

/**
 * This thread's scheduler.
 *
 * @return the scheduler, or NULL if the thread has none
 */
dyco_schedule *dyco_schedule_current(void);

/**
 * The number of this thread's scheduler, unique in the process.
 *
 * @return the number (> 0), or -1 and ESRCH if the thread has none
 */
int dyco_schedule_schedID(void);

/**
 * Attaches a pointer of the program to this thread's scheduler.
 *
 * @param udata any pointer; the library does not look at it
 * @return 0, or -1 and errno: ESRCH the thread has no scheduler
 */
int dyco_schedule_setUdata(void *udata);

/**
 * Fetches the pointer that dyco_schedule_setUdata() attached.
 *
 * @param udata gets the pointer, NULL if none was attached
 * @return 0, or -1 and errno:
 *         ESRCH the thread has no scheduler; EINVAL udata is NULL
 */
int dyco_schedule_getUdata(void **udata);

/**
 * How many coroutines of this thread are alive, those that have not
 * started yet and asymmetric ones included.
 *
 * @return the count, or -1 and ESRCH if the thread has no scheduler
 */
int dyco_schedule_getCoroCount(void);

/**
 * Changes the signal mask of the scheduler's thread, as pthread_sigmask().
 *
 * @param how  SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK
 * @param set  the signals; NULL changes nothing
 * @param oset gets the mask as it was; may be NULL
 * @return 0, or -1 and errno: EINVAL how is none of the three; EFAULT
 */
int dyco_schedcall_sigprocmask(int how, const sigset_t *set, sigset_t *oset);

/**
 * Stops the scheduler: dyco_schedule_run() returns 1 as soon as it can.
 *
 * All coroutines stay as they are, the calling one included, and the next
 * dyco_schedule_run() goes on with them. Where the scheduler does
 * not run, nothing happens.
 *
 * In a signal handler it returns at once, and takes effect when the
 * coroutine that was interrupted next waits or gives way.
 */
void dyco_schedcall_stop(void);

/**
 * Ends all coroutines of the scheduler, the calling one included, and
 * dyco_schedule_run() returns -1.
 *
 * Inside a coroutine it does not return. Destructors and cleanup handlers
 * are not run. The scheduler is empty then and can be used anew.
 *
 * In a signal handler it returns at once, and takes effect when the
 * coroutine that was interrupted next waits or gives way.
 */
void dyco_schedcall_abort(void);

/* ---- epoll --------------------------------------------------------------
 * Each coroutine may have one epoll set of its own, to wait for many
 * descriptors at a time. It is freed with the coroutine, however that
 * ends. epoll_wait() and poll() on sets and descriptors of the program
 * work in coroutines as well.
 */

/**
 * Makes the calling coroutine's epoll set. Does not wait.
 *
 * @return 0, or -1 and errno: EEXIST it has one; EPERM called outside a
 *         coroutine; EMFILE, ENFILE, ENOMEM
 */
int dyco_epoll_init(void);

/**
 * Frees the calling coroutine's epoll set, if it has one.
 */
void dyco_epoll_destroy(void);

/**
 * Adds a descriptor to the coroutine's set, as epoll_ctl() with
 * EPOLL_CTL_ADD.
 *
 * @param fd the descriptor
 * @param ev the events, and what dyco_epoll_wait() is to give back
 * @return 0, or -1 and errno: as epoll_ctl(); EINVAL no dyco_epoll_init()
 *         before; EPERM called outside a coroutine, too
 */
int dyco_epoll_add(int fd, struct epoll_event *ev);

/**
 * Takes a descriptor out of the coroutine's set, as epoll_ctl() with
 * EPOLL_CTL_DEL.
 *
 * @param fd the descriptor
 * @param ev ignored, may be NULL
 * @return 0, or -1 and errno as dyco_epoll_add()
 */
int dyco_epoll_del(int fd, struct epoll_event *ev);

/**
 * Waits until descriptors of the coroutine's set are ready, as
 * epoll_wait(). Only the coroutine waits.
 *
 * @param events    gets what is ready
 * @param maxevents how many events there is room for, > 0
 * @param timeout   milliseconds; negative: for ever; 0: does not wait
 * @return how many are ready; 0 when the time is up; or -1 and errno:
 *         EINVAL maxevents < 1, or no dyco_epoll_init() before; EFAULT;
 *         EPERM called outside a coroutine
 */
int dyco_epoll_wait(struct epoll_event *events, int maxevents, int timeout);

/* ---- Signals and children -----------------------------------------------
 * A coroutine may receive signals one by one, in its own time, instead of
 * by handlers. The kernel gives a signal to any thread that does not
 * block it: in a program with several threads, all must block it (block
 * it before creating them), or it may go to its handler there instead.
 */

/**
 * Waits until a child process has ended, and reaps it. Only the coroutine
 * waits; any number of them may each wait for a child. What one waits for
 * is not taken by another one's wait() or waitpid(-1).
 *
 * Outside a coroutine the thread waits.
 *
 * @param child   the child; -1: any; also 0 and less than -1, as waitpid()
 * @param status  gets its status as from waitpid(); may be NULL
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return the child's pid; 0 when the time is up; or -1 and errno: ECHILD
 *         it is no child of this process, or was reaped by others
 */
int dyco_signal_waitchild(pid_t child, int *status, int timeout);

/**
 * From now on, until dyco_signal_destroy() or the coroutine's end, these
 * signals are blocked for the thread and queued for the calling
 * coroutine. Does not wait.
 *
 * Several coroutines may hold overlapping masks, in one thread or many:
 * each gets every signal of its mask that is sent to the process; one
 * sent to a thread (pthread_kill(), raise()) stays in that thread. A
 * signal stays blocked until the last holder in the thread lets go, and
 * what the program itself had blocked before stays blocked.
 *
 * Up to 1024 signals wait for a coroutine. Of what comes beyond, one of
 * each number is kept, with only ssi_signo set. The kernel makes one of
 * equal signals that come faster than the scheduler runs, except
 * real-time signals.
 *
 * A child made by fork() has the signals unblocked until its scheduler
 * runs or it calls dyco_signal_wait(), so that exec() starts clean.
 *
 * @param mask the signals
 * @return 0, or -1 and errno: EBUSY the coroutine holds signals already;
 *         EINVAL mask is NULL; EPERM called outside a coroutine; EFAULT,
 *         EMFILE, ENFILE, ENOMEM
 */
int dyco_signal_init(const sigset_t *mask);

/**
 * Lets go of the calling coroutine's signals. Those that are queued for
 * it, or have come already, are gone. Without dyco_signal_init() before,
 * nothing happens.
 */
void dyco_signal_destroy(void);

/**
 * Waits for the next of the coroutine's signals. Only the coroutine waits.
 *
 * @param sinfo   gets what there is to know of the signal
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return sizeof *sinfo; or -1 and errno: ETIMEDOUT; EINVAL sinfo is NULL,
 *         or no dyco_signal_init() before; EPERM called outside a
 *         coroutine
 */
int dyco_signal_wait(struct signalfd_siginfo *sinfo, int timeout);

/* ---- Sockets ------------------------------------------------------------
 */

/**
 * As socket(2). A stream socket gets SO_REUSEADDR.
 *
 * The descriptor is an ordinary blocking one: O_NONBLOCK need not be set,
 * and if the program sets it, the dyco_* calls wait all the same.
 *
 * @return the descriptor, or -1 with errno set as by socket(2).
 */
int dyco_socket(int domain, int type, int protocol);

/**
 * As close(2). Coroutines of any thread that wait for fd are woken; their
 * calls fail with EBADF.
 *
 * @return 0, or -1 with errno set as by close(2).
 */
int dyco_close(int fd);

/**
 * As accept(2), except that only the calling coroutine waits.
 *
 * @return the connection's descriptor, or -1 with errno set as by accept(2);
 * EAGAIN when SO_RCVTIMEO of the listener is over.
 */
int dyco_accept(int fd, struct sockaddr *addr, socklen_t *addrlen);

/**
 * As connect(2), except that only the calling coroutine waits: as long as
 * the kernel tries, or until SO_SNDTIMEO is over, which is EINPROGRESS.
 *
 * @return 0, or -1 with errno set as by connect(2).
 */
int dyco_connect(int fd, const struct sockaddr *addr, socklen_t addrlen);

/**
 * As send(2), except that only the calling coroutine waits.
 *
 * On a stream it returns when all len bytes are sent, or with the number
 * that were sent before an error or before SO_SNDTIMEO was over. With
 * MSG_DONTWAIT it does not wait.
 *
 * @return how many bytes were sent, or -1 with errno set as by send(2);
 * EAGAIN when SO_SNDTIMEO is over and nothing was sent.
 */
ssize_t dyco_send(int fd, const void *buf, size_t len, int flags);

/**
 * As recv(2), except that only the calling coroutine waits: until something
 * has come, or until SO_RCVTIMEO is over. With MSG_DONTWAIT it does not wait.
 *
 * @return how many bytes were received, 0 at the end of a stream, or -1 with
 * errno set as by recv(2); EAGAIN when SO_RCVTIMEO is over.
 */
ssize_t dyco_recv(int fd, void *buf, size_t len, int flags);

/**
 * As sendto(2), except that only the calling coroutine waits; see dyco_send.
 *
 * @return how many bytes were sent, or -1 with errno set as by sendto(2).
 */
ssize_t dyco_sendto(int fd,
                    const void *buf,
                    size_t len,
                    int flags,
                    const struct sockaddr *addr,
                    socklen_t addrlen);

/**
 * As recvfrom(2), except that only the calling coroutine waits; see
 * dyco_recv. addr and addrlen may be NULL.
 *
 * @return how many bytes were received, or -1 with errno set as by
 * recvfrom(2).
 */
ssize_t dyco_recvfrom(int fd,
                      void *buf,
                      size_t len,
                      int flags,
                      struct sockaddr *addr,
                      socklen_t *addrlen);

/* ---- The hooked libc names ----------------------------------------------
 * The library defines the libc names that may wait, so that code which
 * knows nothing of coroutines waits in its coroutine only. The guide
 * (docs/hooks.md) lists them, and says how to make sure that they are
 * reached.
 *
 * With the environment variable DYCO_BLOCKED_MS=N the library tells on
 * stderr of each hooked call that holds up its thread for more than N
 * milliseconds while the thread has coroutines, and of each coroutine that
 * keeps its thread for so long between two waits.
 */

/**
 * Tells whether this program reaches the hooks: whether it, and the
 * libraries that it is linked with, find our definitions first.
 *
 * Where it does not, libdyco comes after libc: it was loaded by dlopen(),
 * or libc was linked before it. The hooked names then make the thread
 * wait; the dyco_* functions work. A module that was loaded with
 * RTLD_DEEPBIND looks by itself, and is not seen here.
 *
 * @return 1 all names lead here; 0 some do not, or the library was built
 *         without hooks
 */
int dyco_hook_active(void);

/**
 * Names the hooked names that do not lead here, one by one.
 *
 * A tool that stands in front of us on purpose (a sanitizer, a tracer)
 * shows up here, too, although it passes the calls on.
 *
 * @param index 0, 1, ...
 * @return the name; NULL when there are no more
 */
const char *dyco_hook_missing(int index);

/**
 * Switches the hooks off or on for the calling thread, for instance around
 * a call into a library that must not give way to other coroutines. While
 * they are off the hooked names are libc's own here: inside a coroutine
 * they make the thread wait. The dyco_* functions are not touched, and
 * closing a descriptor wakes those who wait for it all the same.
 *
 * At first they are on. The switch is the thread's, not the coroutine's:
 * do not wait by a dyco_* function while they are off, unless the others
 * may find them so.
 *
 * @param on 0: off; any other: on
 * @return how they were: 1 on, 0 off
 */
int dyco_hook_enable(int on);

/**
 * Whether calls that read, write, open, look at or sync files on disk
 * wait in their coroutine only, in the calling thread: read(), write(),
 * pread(), pwrite() and their vector forms, fsync(), fdatasync(), open(),
 * stat() and their kin, by these names. Helper threads make them; what is
 * in the page cache already is read at once.
 *
 * Off at first, because programs hold locks across such calls: for a plain
 * mutex others of the thread wait in their coroutines, but a recursive one
 * lets them in, and other kinds they would wait for for ever. Without it,
 * and in signal handlers, the thread waits.
 *
 * A coroutine that is ended from outside while a helper makes its call
 * waits for the end of it, and so does who ends it.
 *
 * The setting goes with the thread's scheduler, which is made if need be.
 * In a library without hooks it means nothing.
 *
 * @param on 0 or not
 * @return whether it was on before, 0 or 1; or -1 and errno: ENOMEM
 */
int dyco_hook_files(int on);

/* ---- Channels -----------------------------------------------------------
 * A channel holds one message. Any number of coroutines of a thread may
 * send and receive; each side is served in the order in which it came.
 */

/**
 * Creates a channel.
 *
 * @param size bytes of its longest message; 0 for
 *             DYCO_DEFAULT_CHANNELSIZE
 * @return the channel, or NULL and errno: ENOMEM
 */
dyco_channel *dyco_channel_create(size_t size);

/**
 * Sends a message: at once when the channel is free, else when the
 * message before has been taken; then returns without waiting for a
 * receiver. The message is copied.
 *
 * Outside a coroutine it sends if it can do so at once.
 *
 * @param chan    the channel
 * @param buf     the message
 * @param size    its length: 1 to the channel's size
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return size; 0 the channel was destroyed meanwhile; -2 a bad argument
 *         (EINVAL: NULL, or size 0; EMSGSIZE: too long); -1 and errno:
 *         ETIMEDOUT; EPERM it would have to wait outside a coroutine,
 *         or coroutines of another thread use the channel
 */
ptrdiff_t dyco_channel_send(dyco_channel *chan,
                            const void *buf,
                            size_t size,
                            int timeout);

/**
 * Receives a message, waiting for one if there is none.
 *
 * A message longer than maxsize stays in the channel, for a receiver with
 * more room. Outside a coroutine it receives if there is a message.
 *
 * @param chan    the channel
 * @param buf     where the message goes
 * @param maxsize how long it may be
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return the message's length; 0 the channel was destroyed meanwhile;
 *         -2 a bad argument (EINVAL); -1 and errno: ETIMEDOUT; EMSGSIZE;
 *         EPERM it would have to wait outside a coroutine, or coroutines
 *         of another thread use the channel
 */
ptrdiff_t dyco_channel_recv(dyco_channel *chan,
                            void *buf,
                            size_t maxsize,
                            int timeout);

/**
 * Destroys a channel: every coroutine that waits on it returns 0. A
 * message in it that nobody has received is lost.
 *
 * Sets *chan to NULL. NULL, and a pointer to NULL, are ignored. While
 * coroutines of another thread wait on it, nothing happens, and errno is
 * EPERM.
 *
 * @param chan where the program keeps the channel
 */
void dyco_channel_destroy(dyco_channel **chan);

/* ---- Publish and subscribe ----------------------------------------------
 * A published message goes to every coroutine that waits for one at that
 * moment.
 */

/**
 * Creates a publish-subscribe channel.
 *
 * @param size bytes of its longest message; 0 for
 *             DYCO_DEFAULT_CHANNELSIZE
 * @return the channel, or NULL and errno: ENOMEM
 */
dyco_pubsubchannel *dyco_pubsub_create(size_t size);

/**
 * Destroys a publish-subscribe channel: every coroutine that waits on it
 * returns -1 with EIDRM.
 *
 * Sets *ps to NULL. NULL, and a pointer to NULL, are ignored. While
 * coroutines of another thread wait on it, nothing happens, and errno is
 * EPERM.
 *
 * @param ps where the program keeps the channel
 */
void dyco_pubsub_destroy(dyco_pubsubchannel **ps);

/**
 * Publishes a message to every subscriber that waits.
 *
 * Returns after each of them has taken its copy, so a publisher in a
 * loop loses no subscriber that subscribes in a loop. Outside a coroutine
 * it returns at once; the subscribers take their copies when they run.
 *
 * @param ps   the channel
 * @param buf  the message
 * @param size its length: 1 to the channel's size
 * @return size; 0 nobody waits; -2 a bad argument (EINVAL: NULL, or
 *         size 0; EMSGSIZE: too long); -1 and errno: EIDRM the channel was
 *         destroyed meanwhile; EAGAIN outside a coroutine, while an
 *         earlier message has not been taken by all; EPERM coroutines of
 *         another thread use the channel
 */
ptrdiff_t dyco_pubsub_publish(dyco_pubsubchannel *ps,
                              const void *buf,
                              size_t size);

/**
 * Waits for the next message that is published.
 *
 * @param ps      the channel
 * @param buf     where the message goes
 * @param maxsize how long it may be
 * @param timeout milliseconds; negative: for ever; 0: ETIMEDOUT at once
 * @return the message's length; -2 a bad argument (EINVAL); -1 and errno:
 *         ETIMEDOUT; EMSGSIZE the message is longer than maxsize, and is
 *         lost for this subscriber; EIDRM the channel was destroyed;
 *         EPERM outside a coroutine, or coroutines of another thread use
 *         the channel
 */
ptrdiff_t dyco_pubsub_subscribe(dyco_pubsubchannel *ps,
                                void *buf,
                                size_t maxsize,
                                int timeout);

/* ---- Waitgroups ---------------------------------------------------------
 * Members of a waitgroup report that they are done; others wait until
 * enough of them have.
 */

/**
 * Creates a waitgroup without members.
 *
 * @param suggest_size how many members are expected: a hint, any value
 *                     works
 * @return the waitgroup, or NULL and errno: ENOMEM
 */
dyco_waitgroup *dyco_waitgroup_create(int suggest_size);

/**
 * Destroys a waitgroup: every coroutine that waits on it returns -1 with
 * EIDRM.
 *
 * Sets *group to NULL. NULL, and a pointer to NULL, are ignored. While
 * coroutines of another thread wait on it, nothing happens, and errno is
 * EPERM.
 *
 * @param group where the program keeps the waitgroup
 */
void dyco_waitgroup_destroy(dyco_waitgroup **group);

/**
 * Makes a coroutine of this thread a member.
 *
 * @param group the waitgroup
 * @param cid   a live coroutine
 * @return 1 added; 0 it was a member; -1 and errno: EINVAL group is NULL;
 *         ESRCH no such coroutine in this thread; ENOMEM
 */
int dyco_waitgroup_add(dyco_waitgroup *group, int cid);

/**
 * The calling coroutine is done.
 *
 * @param group the waitgroup
 * @return 1; 0 the caller is no member, or was done already; -1 and errno:
 *         EINVAL group is NULL; EPERM outside a coroutine, or coroutines of
 *         another thread wait
 */
int dyco_waitgroup_done(dyco_waitgroup *group);

/**
 * Waits until enough members are done.
 *
 * @param group   the waitgroup
 * @param target  how many; 0 or less: all there are
 * @param timeout milliseconds; negative: for ever; 0: does not wait and
 *                tells how many are done now
 * @return how many are done; -1 and errno: EINVAL group is NULL; ETIMEDOUT;
 *         EIDRM the waitgroup was destroyed; EPERM it would have to wait
 *         outside a coroutine, or coroutines of another thread wait
 */
int dyco_waitgroup_wait(dyco_waitgroup *group, int target, int timeout);

/* ---- Semaphores ---------------------------------------------------------
 */

/**
 * Creates a semaphore.
 *
 * @param value its permits: 0 to INT_MAX
 * @return the semaphore, or NULL and errno: EINVAL; ENOMEM
 */
dyco_semaphore *dyco_semaphore_create(size_t value);

/**
 * Destroys a semaphore: every coroutine that waits on it returns -1 with
 * EIDRM.
 *
 * Sets *sem to NULL. NULL, and a pointer to NULL, are ignored. While
 * coroutines of another thread wait on it, nothing happens, and errno is
 * EPERM.
 *
 * @param sem where the program keeps the semaphore
 */
void dyco_semaphore_destroy(dyco_semaphore **sem);

/**
 * Takes a permit, waiting for one if there is none. First come, first
 * served. Outside a coroutine it takes one if there is one.
 *
 * @param sem     the semaphore
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return 0, or -1 and errno: EINVAL sem is NULL; ETIMEDOUT; EIDRM the
 *         semaphore was destroyed; EPERM it would have to wait outside a
 *         coroutine, or coroutines of another thread wait
 */
int dyco_semaphore_wait(dyco_semaphore *sem, int timeout);

/**
 * Gives a permit: to the coroutine that waits first, if any. Does not
 * wait; may be called outside coroutines.
 *
 * @param sem the semaphore
 * @return 0, or -1 and errno: EINVAL sem is NULL; EOVERFLOW it has INT_MAX
 *         permits; EPERM coroutines of another thread wait
 */
int dyco_semaphore_signal(dyco_semaphore *sem);

/* ---- Blocking functions -------------------------------------------------
 * What blocks and cannot be hooked (a library that waits in ways of its
 * own, a long calculation) can be run by a helper thread, while only the
 * coroutine waits. The library keeps few of them: started on demand, at
 * most 16, each ends after 10 s without work. Functions are begun in the
 * order in which they were handed over. Looking names up, calls on files
 * and waiting for locks have threads of their own, under the same limits.
 *
 * The environment variables DYCO_OFFLOAD_THREADS and DYCO_OFFLOAD_IDLE
 * (milliseconds) set other defaults.
 */

/**
 * Runs func(arg) on a helper thread and waits until it has returned. Only
 * the coroutine waits.
 *
 * In a helper no coroutine runs: hooked names are libc's own and block,
 * dyco_coroutine_coroID() is -1. Signals are blocked. Its stack has 256
 * KiB. Functions that wait for one another need as many helpers as there
 * are of them.
 *
 * After ETIMEDOUT, and when the coroutine is ended from outside while it
 * waits, a function that has begun goes on to its end: what it uses must
 * live until then, so it must not lie on the coroutine's stack. In
 * general arg cannot, unless the coroutine has a stack of its own: on a
 * shared stack others run meanwhile. A function that has not begun by
 * then is never run.
 *
 * Outside a coroutine func simply runs here, without regard to timeout;
 * so it does in a signal handler.
 *
 * @param func    the function
 * @param arg     handed to it
 * @param timeout milliseconds; negative: for ever; 0: does not wait, so
 *                that func cannot run
 * @return 0, with errno as func has left it; or -1 and errno: ETIMEDOUT
 *         the time is up, func goes on; EAGAIN the time is up or no
 *         thread can be had (none is started on a stack with less than
 *         6 KiB left), and func will not run; EINVAL func is NULL;
 *         ECANCELED this process was forked while func ran, which is
 *         the parent's affair; ENOMEM, EMFILE, ENFILE func will not run
 */
int dyco_offload(proc_coroutine func, void *arg, int timeout);

/**
 * Sets how many helper threads the process may have for each kind of work
 * (functions, names, files, locks), and when one without work ends.
 * Surplus ones end as soon as they have done what they do.
 *
 * @param threads 1 to 1024
 * @param idle    milliseconds; negative: never; 0: at once
 * @return 0, or -1 and errno: EINVAL threads is out of range; EAGAIN the
 *         system has no more thread-specific keys
 */
int dyco_offload_setPool(int threads, int idle);

#if defined(DYCO_SSL_OK)
/* ---- TLS ----------------------------------------------------------------
 * OpenSSL's calls of these names, except that only the coroutine waits.
 * Define DYCO_SSL_OK before including this header, and link with
 * -ldyco -lssl -lcrypto.
 */

/**
 * As SSL_accept(): waits for the client's side of the handshake.
 *
 * A wait honours SO_RCVTIMEO and SO_SNDTIMEO of the socket.
 *
 * @param ssl the session; its socket may block or not
 * @return 1, else as SSL_accept(), for SSL_get_error(); -1 and errno:
 *         EAGAIN a timeout of the socket ran out, and the call may be
 *         repeated; EINVAL ssl is NULL; ENOSYS the program has no OpenSSL
 */
int dyco_SSL_accept(SSL *ssl);
#endif

#if defined(DYCO_SSL_OK)
/**
 * As SSL_connect(): waits for the server's side of the handshake.
 *
 * @param ssl the session
 * @return 1, else as SSL_connect(); -1 and errno as dyco_SSL_accept()
 */
int dyco_SSL_connect(SSL *ssl);
#endif

#if defined(DYCO_SSL_OK)
/**
 * As SSL_read(): waits until there is data.
 *
 * @param ssl the session
 * @param buf where the data goes
 * @param num bytes of room
 * @return how many bytes were read (> 0), else as SSL_read(), for
 *         SSL_get_error(); -1 and errno: EAGAIN a timeout of the socket
 *         ran out: SSL_get_error() says what was waited for, and the
 *         session is still good; EINVAL; ENOSYS
 */
int dyco_SSL_read(SSL *ssl, void *buf, int num);
#endif

#if defined(DYCO_SSL_OK)
/**
 * As SSL_write(): waits until all is written (with
 * SSL_MODE_ENABLE_PARTIAL_WRITE: some).
 *
 * @param ssl the session
 * @param buf the data
 * @param num its bytes
 * @return how many bytes were written (> 0), else as SSL_write(); -1 and
 *         errno as dyco_SSL_read(): repeat the call with the same data
 */
int dyco_SSL_write(SSL *ssl, const void *buf, int num);
#endif

/* ---- Asymmetric coroutines ----------------------------------------------
 * An asymmetric coroutine is never scheduled: it runs when it is resumed,
 * until it yields back to its resumer. It lives until it is freed. A call
 * that waits inside one makes the whole chain of resumers wait, up to the
 * coroutine that began it; resumed by the main program, it blocks as it
 * does there. Each has a stack of its own.
 */

/**
 * Creates an asymmetric coroutine that will run func(arg).
 *
 * @param func what it runs
 * @param arg  handed to func as it is; may be NULL
 * @return the cid (> 0), or -1 and errno: EINVAL func is NULL; ENOMEM
 */
int dyco_asymcoro_create(proc_coroutine func, void *arg);

/**
 * Resumes an asymmetric coroutine, until it yields or ends.
 *
 * @param cid the coroutine
 * @return cid when it has yielded; 0 when it has ended, now or before;
 *         -1 and errno: ESRCH no such coroutine in this thread; EINVAL it
 *         is not asymmetric; EBUSY it runs, waits, or has itself resumed
 *         the caller; ENOMEM no stack for it; ECANCELED
 *         dyco_schedcall_abort() ended it, called by the main program
 */
int dyco_asymcoro_resume(int cid);

/**
 * As dyco_asymcoro_resume(); the older name.
 *
 * @param cid the coroutine
 * @return as dyco_asymcoro_resume()
 */
int dyco_asymcororesume(int cid);

/**
 * Yields from an asymmetric coroutine to its resumer; returns when it is
 * resumed again. Elsewhere it does nothing and errno is EPERM.
 */
void dyco_asymcoro_yield(void);

/**
 * As dyco_asymcoro_yield(); the older name.
 */
void dyco_asymcoroyield(void);

/**
 * Frees an asymmetric coroutine, also one that has not ended: no C++
 * destructors and no cleanup handlers run.
 *
 * On failure nothing happens and errno is ESRCH: no such coroutine in
 * this thread; EINVAL: not asymmetric; EBUSY: it runs, waits, or has
 * resumed another.
 *
 * @param cid the coroutine
 */
void dyco_asymcoro_free(int cid);

/**
 * As dyco_coroutine_coroID().
 *
 * @return the calling coroutine's cid; -1 outside coroutines
 */
int dyco_asymcoro_coroID(void);

/**
 * As dyco_coroutine_setStack().
 *
 * @param cid       the coroutine, before its first run
 * @param stackptr  the stack's lowest byte; NULL: the library allocates it
 * @param stacksize bytes
 * @return as dyco_coroutine_setStack()
 */
int dyco_asymcoro_setStack(int cid, void *stackptr, size_t stacksize);

/**
 * As dyco_coroutine_getStack().
 *
 * @param cid       the coroutine
 * @param stackptr  gets the stack's lowest byte; may be NULL
 * @param stacksize gets its size in bytes; may be NULL
 * @return as dyco_coroutine_getStack()
 */
int dyco_asymcoro_getStack(int cid, void **stackptr, size_t *stacksize);

/**
 * As dyco_coroutine_setUdata().
 *
 * @param cid   the coroutine
 * @param udata any pointer
 * @return 0, or -1 and errno: ESRCH
 */
int dyco_asymcoro_setUdata(int cid, void *udata);

/**
 * As dyco_coroutine_getUdata().
 *
 * @param cid   the coroutine
 * @param udata gets the pointer
 * @return 0, or -1 and errno: ESRCH; EINVAL udata is NULL
 */
int dyco_asymcoro_getUdata(int cid, void **udata);

/**
 * Creates a pool of asymmetric coroutines; see dyco_coropool_create().
 *
 * @param totalsize how many: at least 1
 * @param stacksize bytes of the stack of each; 0: the scheduler's size
 * @return the pool, or NULL and errno: EINVAL; ENOMEM
 */
dyco_coropool *dyco_asymcpool_create(int totalsize, size_t stacksize);

/**
 * As dyco_coropool_resize().
 *
 * @param cp      the pool
 * @param newsize how many: at least 1
 * @return as dyco_coropool_resize()
 */
dyco_coropool *dyco_asymcpool_resize(dyco_coropool *cp, int newsize);

/**
 * As dyco_coropool_destroy().
 *
 * @param cp where the program keeps the pool
 * @return as dyco_coropool_destroy()
 */
int dyco_asymcpool_destroy(dyco_coropool **cp);

/**
 * As dyco_coropool_available().
 *
 * @param cp the pool
 * @return as dyco_coropool_available()
 */
int dyco_asymcpool_available(dyco_coropool *cp);

/**
 * Obtains an asymmetric coroutine of the pool that will run func(arg),
 * waiting for a free one if need be. It does not come back by itself: see
 * dyco_asymcpool_return().
 *
 * @param cp      the pool
 * @param func    what the coroutine runs
 * @param arg     handed to func as it is; may be NULL
 * @param timeout milliseconds; negative: for ever; 0: does not wait
 * @return as dyco_coropool_obtain()
 */
int dyco_asymcpool_obtain(dyco_coropool *cp,
                          proc_coroutine func,
                          void *arg,
                          int timeout);

/**
 * Gives an asymmetric coroutine back to its pool, finished or not.
 *
 * On failure nothing happens and errno is ESRCH: no such coroutine in
 * this thread; EINVAL: of no pool; EBUSY: it runs, waits, or has resumed
 * another.
 *
 * @param cid the coroutine
 */
void dyco_asymcpool_return(int cid);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* DYCO_COROUTINE_H */
