// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * An echo server for tens of thousands of connections on one thread.
 *
 *     socket_server [port]        default 9000; 0 takes any free port
 *
 * Every connection is a coroutine that runs one plain blocking function. Talk
 * to it with socket_client, or by hand: nc 127.0.0.1 9000. Ctrl-C ends it.
 */
#include "dyco_coroutine.h"

#include <arpa/inet.h>
#include <sys/resource.h>

static long connected; // connections that are open now
static long most;      // … the most at any time
static long served;    // … that have come and gone
static long broken;    // … of these, ended by an error (a reset, say)

static void serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[1024]; // small: a waiting connection keeps it in memory
    ssize_t n;

    if (++connected > most)
        most = connected;

    // recv waits for data, send until the kernel has taken all of it; both let
    // the other coroutines run meanwhile.
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n) {
            n = -1;
            break;
        }
    }

    close(fd);
    connected--;
    served++;
    if (n < 0)
        broken++;
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
            // Out of descriptors or memory. The connection stays in the
            // listener's queue; try again when others may have ended.
            dyco_coroutine_sleep(100);
            continue;
        }
        // The argument is the number itself. Never the address of `fd`: this
        // coroutine's stack is not in its place while another one runs.
        if (dyco_coroutine_create(serve, (void *)(intptr_t)fd) < 0)
            close(fd);
    }
}

// The signals are blocked in main and read here, like any other input.
static void stop_on_signal(void *arg)
{
    int signals = (int)(intptr_t)arg;
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof info) == sizeof info)
        dyco_schedcall_stop(); // dyco_schedule_run() returns 1
}

// One descriptor per connection: take as many as the system gives us.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            perror("setrlimit");
    }
}

static int listen_on(int port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK), // INADDR_ANY serves other machines too
    };
    socklen_t len = sizeof addr;
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
        perror("listen");
        exit(1);
    }
    printf("listening on 127.0.0.1 port %d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

static int block_ending_signals(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int fd = signalfd(-1, &mask, SFD_CLOEXEC);
    if (fd < 0) {
        perror("signalfd");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 9000;

    if (argc > 2 || port < 0 || port > 65535) {
        fprintf(stderr, "usage: %s [port]\n", argv[0]);
        return 2;
    }

    raise_descriptor_limit();
    int signals = block_ending_signals();
    int listener = listen_on(port);

    if (dyco_coroutine_create(stop_on_signal, (void *)(intptr_t)signals) < 0 ||
        dyco_coroutine_create(accept_connections, (void *)(intptr_t)listener) < 0) {
        perror("dyco_coroutine_create");
        return 1;
    }

    int result = dyco_schedule_run();
    printf("served %ld connections, %ld at the same time, %ld broken, %ld still open\n",
           served, most, broken, connected);
    dyco_schedule_free(NULL); // with the coroutines that are still waiting
    return result == 1 ? 0 : 1;
}
