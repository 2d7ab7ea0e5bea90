// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Many connections to an echo server at once, every echo compared.
 *
 *     socket_client [port [connections [messages]]]        default 9000 100 10
 *
 * First all connections are opened, then each sends its messages and waits for
 * each echo, all at the same time on one thread. The result is one line; the
 * exit status is 0 only if nothing at all went wrong.
 */
#include "dyco_coroutine.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <sys/resource.h>

enum { MESSAGE_SIZE = 64, OPENERS = 64, TIMEOUT_S = 30 };

static int port = 9000, connections = 100, messages = 10;
static int *fds;        // one per connection, -1: could not be opened
static int next;        // the connection that is to be opened next
static int opened;      // how many there are
static long echoed;     // messages that came back right
static long errors;

static void failed(const char *what, int connection)
{
    if (errors++ == 0) // the first one tells enough
        fprintf(stderr, "connection %d: %s: %s\n", connection, what, strerror(errno));
}

static bool exchange(int connection, int number)
{
    char sent[MESSAGE_SIZE], received[MESSAGE_SIZE];

    memset(sent, 'a' + number % 26, sizeof sent);
    snprintf(sent, sizeof sent, "connection %d, message %d", connection, number);

    errno = 0;
    if (send(fds[connection], sent, sizeof sent, MSG_NOSIGNAL) != sizeof sent) {
        failed("send", connection);
        return false;
    }
    if (recv(fds[connection], received, sizeof received, MSG_WAITALL) != sizeof received) {
        failed(errno == 0 ? "the server closed it" : "recv", connection);
        return false;
    }
    if (memcmp(sent, received, sizeof sent) != 0) {
        failed("a wrong echo", connection);
        return false;
    }
    echoed++;
    return true;
}

static int open_connection(int connection)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        failed("socket", connection);
        return -1;
    }
    // A wait is as long as the socket's own timeout says, and for ever without one.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) < 0 ||
        connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        failed("connect", connection);
        close(fd);
        return -1;
    }
    return fd;
}

// A few coroutines open all the connections, so that a burst of thousands
// does not overrun the server's queue; the first echo shows that it has taken this one.
static void open_connections(void *arg)
{
    (void)arg;
    while (next < connections) {
        int connection = next++;
        fds[connection] = open_connection(connection);
        if (fds[connection] >= 0 && exchange(connection, 0))
            opened++;
    }
}

static void talk(void *arg)
{
    int connection = (int)(intptr_t)arg;

    for (int number = 1; number < messages; number++)
        if (!exchange(connection, number))
            break;
    close(fds[connection]);
}

static void create(proc_coroutine function, int number)
{
    if (dyco_coroutine_create(function, (void *)(intptr_t)number) < 0) {
        perror("dyco_coroutine_create");
        exit(1);
    }
}

static void run(void)
{
    if (dyco_schedule_run() != 0) {
        perror("dyco_schedule_run");
        exit(1);
    }
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)connections + 16;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < needed) {
        fprintf(stderr, "%d connections need %lu descriptors; the hard limit (ulimit -Hn) is %lu\n", connections,
                (unsigned long)needed, (unsigned long)limit.rlim_max);
        exit(2);
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        perror("setrlimit");
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        port = atoi(argv[1]);
    if (argc > 2)
        connections = atoi(argv[2]);
    if (argc > 3)
        messages = atoi(argv[3]);
    if (argc > 4 || port < 1 || port > 65535 || connections < 1 || messages < 1) {
        fprintf(stderr, "usage: %s [port [connections [messages]]]\n", argv[0]);
        return 2;
    }

    raise_descriptor_limit();
    fds = malloc((size_t)connections * sizeof *fds);
    if (fds == NULL) {
        perror("malloc");
        return 1;
    }

    double start = seconds();
    for (int i = 0; i < OPENERS; i++)
        create(open_connections, i);
    run(); // returns when all openers have ended: now all connections are open

    for (int i = 0; i < connections; i++)
        if (fds[i] >= 0)
            create(talk, i);
    run();

    double took = seconds() - start;
    printf("%d connections at the same time, %ld messages echoed, %ld errors, %.2f s, %.0f messages/s\n",
           opened, echoed, errors, took, (double)echoed / took);
    free(fds);
    return errors == 0 ? 0 : 1;
}
