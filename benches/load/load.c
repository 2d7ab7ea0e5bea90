/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The measurement of servers: they take turns, one slice each per round, so that whatever else the machine does falls on
 * all of them alike. Each server has client processes of its own, one on each of its load's CPUs with so many connections;
 * only one server's work at a time.
 *
 *     load echo|session CONNECTIONS ROUNDS SLICE_MS NAME:PORT:PID:CPU[,CPU...]...
 *
 * Prints lines of name, figure and value, tab-separated: some once per round, the others once.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/calls.h"
#include "client.h"

#define MAX_TARGETS 32
#define MAX_CPUS 8
#define COUNTING_ROUNDS 2

struct target {
    const char *name;
    int port;
    pid_t pid;
    clockid_t cpu;
    double memory_before; /* any connection */
    int cpus[MAX_CPUS], cpu_count;
    int channels[MAX_CPUS];
    struct seen *seen; /* of each client */
    int failed;
};

static int connections; /* of a client process */
static const char *work;

static void print(const struct target *t, const char *figure, double value)
{
    if (!t->failed)
        printf("%s\t%s\t%.4f\n", t->name, figure, value);
}

/* A client that has gone has said why; the others go on without its server. */
static void await(struct target *t)
{
    char done;
    for (int i = 0; i < t->cpu_count; i++)
        if (!t->failed && read(t->channels[i], &done, 1) != 1) {
            fprintf(stderr, "load: %s cannot\n", t->name);
            t->failed = 1;
        }
}

static void start_clients(struct target *t)
{
    t->memory_before = resident(t->pid);
    t->seen = mmap(NULL, (size_t)t->cpu_count * sizeof *t->seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(t->seen != MAP_FAILED);
    for (int i = 0; i < t->cpu_count; i++) {
        int ends[2];
        cpu_set_t set;

        MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            close(ends[0]);
            CPU_ZERO(&set);
            CPU_SET(t->cpus[i], &set);
            sched_setaffinity(0, sizeof set, &set); /* as well as it goes */
            client(work, t->port, connections, ends[1], &t->seen[i]);
        }
        close(ends[1]);
        t->channels[i] = ends[0];
    }
    await(t);
}

static void command(struct target *t, uint64_t ns, int measuring)
{
    struct order order = {.duration_ns = ns, .measuring = measuring};

    if (t->failed)
        return;
    for (int i = 0; i < t->cpu_count; i++)
        if (write(t->channels[i], &order, sizeof order) != sizeof order)
            t->failed = 1;
    await(t);
}

static double turn_requests(const struct target *t)
{
    double sum = 0;
    for (int i = 0; i < t->cpu_count; i++)
        sum += (double)t->seen[i].turn_requests;
    return sum;
}

static void turn(struct target *t, uint64_t ns)
{
    command(t, ns / 4, 0);
    if (t->failed)
        return;
    uint64_t begin = now_ns(), cpu = clock_ns(t->cpu);
    command(t, ns, 1);
    double took = (double)(now_ns() - begin), spent = (double)(clock_ns(t->cpu) - cpu), requests = turn_requests(t);
    print(t, "requests/s", requests * 1e9 / took);
    print(t, "CPU us/request", spent / requests / 1e3);
}

static void counting_turn(struct target *t, uint64_t ns)
{
    struct call_counter counter;

    if (t->failed)
        return;
    if (count_calls(&counter, t->pid)) {
        uint64_t before = calls_so_far(&counter);
        command(t, ns, 0);
        print(t, "calls/request", (double)(calls_so_far(&counter) - before) / turn_requests(t));
    }
    stop_counting(&counter);
}

static void print_latency(struct target *t)
{
    static struct histogram all;
    uint64_t slowest = UINT64_MAX, fastest = 0;

    if (t->failed)
        return;
    memset(&all, 0, sizeof all);
    for (int i = 0; i < t->cpu_count; i++) {
        struct seen *seen = &t->seen[i];
        for (int k = 0; k < BUCKETS; k++)
            all.buckets[k] += seen->latency.buckets[k];
        slowest = seen->slowest < slowest ? seen->slowest : slowest;
        fastest = seen->fastest > fastest ? seen->fastest : fastest;
    }
    print(t, "p50 us", percentile_us(&all, 0.5));
    print(t, "p99 us", percentile_us(&all, 0.99));
    print(t, "p999 us", percentile_us(&all, 0.999));
    print(t, "slowest/fastest", (double)slowest / (double)fastest);
}

int main(int argc, char **argv)
{
    static struct target targets[MAX_TARGETS];
    struct rlimit files;
    int count = argc - 5;

    MUST(count > 0 && count <= MAX_TARGETS);
    work = argv[1];
    connections = atoi(argv[2]);
    int rounds = atoi(argv[3]);
    uint64_t slice_ns = (uint64_t)atoi(argv[4]) * 1000000u;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* ends with the harness */
    signal(SIGPIPE, SIG_IGN);
    MUST(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &files) == 0);

    for (int i = 0; i < count; i++) {
        struct target *t = &targets[i];
        t->name = strtok(argv[5 + i], ":");
        t->port = atoi(strtok(NULL, ":"));
        t->pid = atoi(strtok(NULL, ":"));
        for (char *cpu = strtok(NULL, ","); cpu && t->cpu_count < MAX_CPUS; cpu = strtok(NULL, ","))
            t->cpus[t->cpu_count++] = atoi(cpu);
        if ((errno = clock_getcpuclockid(t->pid, &t->cpu)) != 0) {
            t->failed = 1;
            continue;
        }
        start_clients(t);
        command(t, 1, 0); /* one request of each */
        if (t->failed)
            continue;
        print(t, "bytes/connection", (resident(t->pid) - t->memory_before) / connections / t->cpu_count);
        print(t, "resident MB", resident(t->pid) / 1e6);
    }
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++)
            turn(&targets[(round + i) % count], slice_ns);
    for (int round = 0; round < COUNTING_ROUNDS; round++)
        for (int i = 0; i < count; i++)
            counting_turn(&targets[i], slice_ns);
    for (int i = 0; i < count; i++)
        print_latency(&targets[i]);
    return 0;
}
