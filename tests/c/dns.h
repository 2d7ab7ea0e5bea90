/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A world of its own for the tests of names: a mount namespace with a private /etc and a network namespace with nothing
 * but loopback, where a DNS server of the test's answers, slowly. libc's resolver is the real one, and asks over UDP.
 */
#ifndef DYCO_TEST_DNS_H
#define DYCO_TEST_DNS_H

#include "same.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define DNS_SERVER "127.0.0.1"

static inline void dns_write(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    CHECK_EQ(close(fd), 0);
}

/* The files of /etc that name look-ups read; loopback comes up. To be called before there are threads. */
static inline void dns_world(void) {
    uid_t uid = getuid();
    gid_t gid = getgid();
    char map[64];
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | (uid == 0 ? 0 : CLONE_NEWUSER)) != 0) TEST_SKIP("may not unshare namespaces");
    if (uid != 0) {
        snprintf(map, sizeof map, "0 %d 1", uid);
        dns_write("/proc/self/uid_map", map);
        dns_write("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %d 1", gid);
        dns_write("/proc/self/gid_map", map);
    }
    if (mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0) TEST_SKIP("may not change mounts");
    if (mount("dyco-test", "/etc", "tmpfs", 0, "mode=0755") != 0) TEST_SKIP("may not mount");
    dns_write("/etc/nsswitch.conf", "hosts: files dns\nservices: files\nprotocols: files\nnetworks: files\n");
    dns_write("/etc/resolv.conf", "nameserver " DNS_SERVER "\nsearch example.test\noptions timeout:20 attempts:1\n");
    dns_write("/etc/hosts",
              "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
              "192.0.2.7 harbour.test harbour alias-one alias-two\n192.0.2.8 harbour.test\n2001:db8::7 six.test six\n");
    dns_write("/etc/services", "ship 4711/tcp vessel\nship 4712/udp\nnight 23/tcp\n");
    dns_write("/etc/protocols", "ip 0 IP\ntcp 6 TCP\nudp 17 UDP\n");
    dns_write("/etc/networks", "");
    dns_write("/etc/host.conf", "multi on\n");

    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    CHECK_EQ(close(fd), 0);
}

/* --- the server: a process, with a queue of answers in the order of their times */

struct dns_answer {
    int64_t due;
    struct sockaddr_in to;
    int length;
    unsigned char packet[600];
};

static int dns_delay_ms;

/* The name of the question in small letters, with dots. Returns where it ends. */
static inline int dns_name(const unsigned char *packet, int length, char *name) {
    int at = 12, out = 0;
    while (at < length && packet[at] != 0) {
        int label = packet[at++];
        if (label > 63 || at + label >= length || out + label > 250) return -1;
        for (int i = 0; i < label; i++) name[out++] = (char)(packet[at + i] | (packet[at + i] >= 'A' && packet[at + i] <= 'Z' ? 32 : 0));
        name[out++] = '.';
        at += label;
    }
    name[out > 0 ? out - 1 : 0] = 0;
    return at + 5 <= length ? at + 5 : -1;
}

static inline void dns_add(struct dns_answer *answer, int type, const void *data, int size) {
    unsigned char *out = answer->packet + answer->length;
    unsigned char head[12] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0, 0, 60, (unsigned char)(size >> 8), (unsigned char)size};
    memcpy(out, head, 12);
    memcpy(out + 12, data, (size_t)size);
    answer->length += 12 + size;
    answer->packet[7]++;
}

/* hostN.example.test is 10.9.(N/256).(N%256) and, for AAAA, fd00::N; 10.9.x.y and fd00::N have the reverse. Of the rest
 * fail.* is a server failure, empty.* has no addresses, anything else does not exist. many.* has 40 addresses. */
static inline void dns_answer(struct dns_answer *answer, int question_end) {
    unsigned char *packet = answer->packet;
    char name[256];
    unsigned number, a, b;
    int type = packet[question_end - 3], end = 0;
    dns_name(packet, answer->length, name);
    answer->length = question_end;
    packet[2] = (unsigned char)(0x84 | (packet[2] & 1));
    packet[3] = 0x80;
    memset(packet + 6, 0, 6);
    if (sscanf(name, "host%u.example.test%n", &number, &end) == 1 && end > 0 && name[end] == 0) {
        unsigned char v4[4] = {10, 9, (unsigned char)(number >> 8), (unsigned char)number};
        unsigned char v6[16] = {0xfd};
        v6[14] = (unsigned char)(number >> 8);
        v6[15] = (unsigned char)number;
        if (type == 1) dns_add(answer, 1, v4, 4);
        if (type == 28) dns_add(answer, 28, v6, 16);
    } else if (sscanf(name, "%u.%u.9.10.in-addr.arpa%n", &a, &b, &end) == 2 && end > 0) {
        unsigned char pointer[64] = {0};
        int label = snprintf((char *)pointer + 1, 20, "host%u", b * 256 + a);
        pointer[0] = (unsigned char)label;
        memcpy(pointer + 1 + label, "\7example\4test\0", 14);
        if (type == 12) dns_add(answer, 12, pointer, 1 + label + 14);
    } else if (strncmp(name, "many.", 5) == 0) {
        for (int i = 1; i <= 25 && type == 1; i++) dns_add(answer, 1, (unsigned char[]){10, 8, 0, (unsigned char)i}, 4);
    } else if (strncmp(name, "fail.", 5) == 0) {
        packet[3] |= 2;
    } else if (strncmp(name, "empty.", 6) != 0) {
        packet[3] |= 3;
    }
}

static inline void dns_serve(int fd) {
    static struct dns_answer queue[4096];
    unsigned first = 0, last = 0;
    for (;;) {
        struct pollfd entry = {fd, POLLIN, 0};
        int64_t wait = first == last ? -1 : queue[first % COUNT(queue)].due - now_ms();
        int ready = poll(&entry, 1, first == last ? -1 : wait < 0 ? 0 : (int)wait);
        if (ready > 0 && last - first < COUNT(queue)) {
            struct dns_answer *answer = &queue[last % COUNT(queue)];
            socklen_t size = sizeof answer->to;
            char name[256];
            ssize_t n = recvfrom(fd, answer->packet, 500, 0, (struct sockaddr *)&answer->to, &size);
            int end = n < 17 ? -1 : dns_name(answer->packet, (int)n, name);
            if (end > 0) {
                answer->length = (int)n;
                dns_answer(answer, end);
                answer->due = now_ms() + dns_delay_ms;
                last++;
            }
        }
        while (first != last && queue[first % COUNT(queue)].due <= now_ms()) {
            struct dns_answer *answer = &queue[first++ % COUNT(queue)];
            sendto(fd, answer->packet, (size_t)answer->length, 0, (struct sockaddr *)&answer->to, sizeof answer->to);
        }
    }
}

/* Starts a server that takes its time for each answer; a process that ends with the test. */
static inline pid_t dns_start(int delay_ms) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = 1 << 20;
    CHECK(fd >= 0);
    inet_aton(DNS_SERVER, &address.sin_addr);
    CHECK_EQ(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    pid_t test = getpid(), server = fork();
    CHECK(server >= 0);
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != test) _exit(0);
        dns_delay_ms = delay_ms;
        dns_serve(fd);
    }
    CHECK_EQ(close(fd), 0);
    return server;
}

/* Helpers end before the program, so that what libc keeps for each of them has been freed. */
static inline void helpers_end(void) {
    struct timespec time = {0, 300000000};
    CHECK_EQ(dyco_offload_setPool(1, 0), 0);
    syscall(SYS_nanosleep, &time, NULL);
}

static inline void dns_stop(pid_t server) {
    CHECK_EQ(kill(server, SIGKILL), 0);
    CHECK_EQ(waitpid(server, NULL, 0), server);
}

#endif
