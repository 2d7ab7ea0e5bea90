// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A server per core: each thread has its own scheduler and its own listener on
 * the same port (SO_REUSEPORT), and the kernel spreads the connections.
 *
 *     multithread [port [threads]]        default 9000, one thread per core
 *
 * A coroutine stays on the thread that made it, so the threads share nothing
 * and need no locks. Talk to it with socket_client; Ctrl-C ends it.
 */
#include "dyco_coroutine.h"

#include <arpa/inet.h>
#include <sys/resource.h>

enum { MAX_THREADS = 256 };

struct worker {
    pthread_t thread;
    int listener;
    long served; // written by the worker's thread only, read after it has ended
};

static struct worker workers[MAX_THREADS];
static int stop_event; // readable when all are to end

static void serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[1024];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
            break;
    close(fd);

    struct worker *self = NULL;
    if (dyco_schedule_getUdata((void **)&self) == 0 && self != NULL)
        self->served++;
}

static void accept_connections(void *arg)
{
    int listener = (int)(intptr_t)arg;

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) {
                perror("accept");
                return;
            }
            dyco_coroutine_sleep(100); // out of descriptors or memory: let some connections end
            continue;
        }
        if (dyco_coroutine_create(serve, (void *)(intptr_t)fd) < 0)
            close(fd);
    }
}

// Nobody reads the event, so it stays readable and wakes every thread.
static void wait_for_stop(void *arg)
{
    (void)arg;
    dyco_coroutine_waitRead(stop_event, -1);
    dyco_schedcall_stop();
}

static void *work(void *arg)
{
    struct worker *self = arg;

    // The first coroutine makes this thread's scheduler; it is freed with the thread.
    if (dyco_coroutine_create(wait_for_stop, NULL) < 0 ||
        dyco_coroutine_create(accept_connections, (void *)(intptr_t)self->listener) < 0 ||
        dyco_schedule_setUdata(self) < 0) {
        perror("worker");
        return NULL;
    }
    dyco_schedule_run();
    return NULL;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK), // INADDR_ANY serves other machines too
    };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, SOMAXCONN) < 0)
        die("listen");
    return fd;
}

static int port_of(int listener)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;

    if (getsockname(listener, (struct sockaddr *)&addr, &len) < 0)
        die("getsockname");
    return ntohs(addr.sin_port);
}

static int usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 9000;
    int threads = argc > 2 ? atoi(argv[2]) : usable_cores();

    if (argc > 3 || port < 0 || port > 65535 || threads < 1) {
        fprintf(stderr, "usage: %s [port [threads]]\n", argv[0]);
        return 2;
    }
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;

    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max; // one descriptor per connection
        setrlimit(RLIMIT_NOFILE, &limit);
    }

    // Blocked before the threads are made, so that only sigwait below sees them.
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, NULL);

    stop_event = eventfd(0, EFD_CLOEXEC);
    if (stop_event < 0)
        die("eventfd");

    // All listeners exist before the first thread runs. Port 0: the first one
    // gets a free port, the others the same.
    for (int i = 0; i < threads; i++) {
        workers[i].listener = listen_on(port);
        port = port_of(workers[i].listener);
    }
    for (int i = 0; i < threads; i++) {
        errno = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        if (errno != 0)
            die("pthread_create");
    }
    printf("listening on 127.0.0.1 port %d with %d threads\n", port, threads);
    fflush(stdout);

    int signal;
    sigwait(&ending, &signal); // main has no coroutines: this waits for the thread
    uint64_t one = 1;
    if (write(stop_event, &one, sizeof one) != sizeof one)
        die("write");

    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        printf("thread %d served %ld connections\n", i + 1, workers[i].served);
    }
    return 0;
}
