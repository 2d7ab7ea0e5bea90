/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Looking names up in a coroutine gives what libc gives: addresses, aliases, services, errors, errno and h_errno; from
 * /etc/hosts, from DNS, of figures, of nonsense, and into buffers that are too small.
 */
// timeout: 60
#include "dns.h"

/* Addresses as text, in libc's order. */
static void say_address(const struct sockaddr *address) {
    char text[64] = "?";
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        say(" %s:%d", text, ntohs(v4->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        say(" [%s%%%d]:%d", text, v6->sin6_scope_id, ntohs(v6->sin6_port));
    }
}

static void look(const char *node, const char *service, int flags, int family, int type) {
    struct addrinfo hints = {.ai_flags = flags, .ai_family = family, .ai_socktype = type}, *list = (void *)1;
    errno = 77;
    h_errno = 55;
    int code = getaddrinfo(node, service, &hints, &list), error = errno;
    say("getaddrinfo(%s, %s, %#x, %d, %d) = %d", node ? node : "NULL", service ? service : "NULL", flags, family, type, code);
    if (code == EAI_SYSTEM) say(" errno %d", error);
    say(" h_errno %d:", h_errno);
    if (code != 0) CHECK(list == (void *)1);
    if (code == 0) {
        for (struct addrinfo *at = list; at; at = at->ai_next) {
            say_address(at->ai_addr);
            say(" %d/%d/%d %s", at->ai_family, at->ai_socktype, at->ai_protocol, at->ai_canonname ? at->ai_canonname : "-");
        }
        freeaddrinfo(list);
    }
    say("\n");
}

static void addresses(void) {
    static const char *nodes[] = {"localhost", "harbour", "harbour.test", "alias-two", "six", "192.0.2.1", "2001:db8::1",
                                  "127.1", "fe80::1%lo", "fe80::1%none", "1.2.3.4 ", "0x7f.1", "host7", "host7.example.test",
                                  "host7.example.test.", "missing", "fail.test", "empty.test", "many.test", "", "a..b", NULL};
    static const char *services[] = {"ship", "4711", "0", "none", "65536", "", " 80", "80x", NULL};
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
    for (size_t n = 0; n < COUNT(nodes); n++)
        for (size_t f = 0; f < COUNT(families); f++) look(nodes[n], "4711", 0, families[f], SOCK_STREAM);
    for (size_t s = 0; s < COUNT(services); s++) {
        look("192.0.2.1", services[s], 0, AF_UNSPEC, 0);
        look("192.0.2.1", services[s], 0, AF_UNSPEC, SOCK_DGRAM);
        look("192.0.2.1", services[s], AI_NUMERICSERV, AF_UNSPEC, SOCK_STREAM);
        look(NULL, services[s], AI_PASSIVE, AF_UNSPEC, SOCK_STREAM);
        look("harbour", services[s], 0, AF_INET, SOCK_RAW);
    }
    for (size_t n = 0; n < COUNT(nodes); n++) {
        look(nodes[n], "ship", AI_NUMERICHOST, AF_UNSPEC, SOCK_STREAM);
        look(nodes[n], NULL, AI_CANONNAME, AF_UNSPEC, SOCK_STREAM);
        look(nodes[n], NULL, AI_V4MAPPED | AI_ALL, AF_INET6, SOCK_STREAM);
        look(nodes[n], NULL, AI_ADDRCONFIG, AF_UNSPEC, SOCK_DGRAM);
    }
    look("harbour", NULL, 0x40000000, AF_UNSPEC, 0);
    look("harbour", NULL, 0, AF_UNSPEC, 99);
    struct addrinfo *list;
    say("without hints %d\n", getaddrinfo("harbour", "ship", NULL, &list));
    for (struct addrinfo *at = list; at; at = at->ai_next) say_address(at->ai_addr);
    freeaddrinfo(list);
}

static void name_of(const struct sockaddr *address, socklen_t length, int flags, socklen_t host_room, socklen_t service_room) {
    char host[64], service[32];
    memset(host, 'h', sizeof host);
    memset(service, 's', sizeof service);
    errno = 77;
    int code = getnameinfo(address, length, host_room ? host : NULL, host_room, service_room ? service : NULL,
                           service_room, flags);
    int error = errno;
    say("getnameinfo(%d, %u, %#x, %u, %u) = %d", address->sa_family, length, flags, host_room, service_room, code);
    if (code == EAI_SYSTEM) say(" errno %d", error);
    if (code == 0) say(" %.*s %.*s", host_room ? 64 : 0, host, service_room ? 32 : 0, service);
    /* Behind the room nothing is written. */
    CHECK(host_room >= sizeof host || host[host_room] == 'h');
    CHECK(service_room >= sizeof service || service[service_room] == 's');
    say("\n");
}

static void names(void) {
    static const char *texts[] = {"127.0.0.1", "192.0.2.7", "10.9.0.7", "10.7.0.7", "::1", "2001:db8::7", "fe80::1"};
    static const int flags[] = {0, NI_NUMERICHOST, NI_NUMERICSERV, NI_NUMERICHOST | NI_NUMERICSERV, NI_NAMEREQD,
                                NI_DGRAM, NI_NOFQDN, 0x8000};
    for (size_t t = 0; t < COUNT(texts); t++) {
        union address address = {0};
        socklen_t length = sizeof address.v4;
        if (inet_pton(AF_INET, texts[t], &address.v4.sin_addr) == 1) {
            address.v4.sin_family = AF_INET;
            address.v4.sin_port = htons(t % 2 ? 4711 : 4712);
        } else {
            CHECK_EQ(inet_pton(AF_INET6, texts[t], &address.v6.sin6_addr), 1);
            address.v6.sin6_family = AF_INET6;
            address.v6.sin6_port = htons(4711);
            length = sizeof address.v6;
        }
        for (size_t f = 0; f < COUNT(flags); f++) name_of(&address.any, length, flags[f], 64, 32);
        name_of(&address.any, length, 0, 0, 32);
        name_of(&address.any, length, 0, 64, 0);
        name_of(&address.any, length, 0, 0, 0);
        name_of(&address.any, length, 0, 5, 32);
        name_of(&address.any, length, NI_NUMERICHOST, 64, 2);
        name_of(&address.any, length, NI_NUMERICHOST | NI_NUMERICSERV, 4, 2);
        name_of(&address.any, 1, 0, 64, 32);
        name_of(&address.any, 0, 0, 64, 32);
        name_of(&address.any, 8, 0, 64, 32);
        name_of(&address.any, sizeof address + 1000, NI_NUMERICHOST, 64, 32);
    }
    union address local = {.un = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"}};
    name_of(&local.any, sizeof local.un, NI_NUMERICHOST, 64, 32);
    local.any.sa_family = 99;
    name_of(&local.any, sizeof local.un, 0, 64, 32);
}

static void say_host(const struct hostent *host) {
    if (!host) {
        say(" null");
        return;
    }
    say(" %s %d/%d", host->h_name, host->h_addrtype, host->h_length);
    for (char **alias = host->h_aliases; *alias; alias++) say(" =%s", *alias);
    for (char **address = host->h_addr_list; *address; address++) {
        char text[64] = "?";
        inet_ntop(host->h_addrtype, *address, text, sizeof text);
        say(" %s", text);
    }
}

static const char *hosts[] = {"localhost", "harbour", "six", "192.0.2.1", "127.1", "0x7f.1", "::1", "1.2.3.4.", "host7",
                              "host7.example.test", "many.test", "missing", "fail.test", "empty.test", ""};

/* What the failing call itself leaves in errno depends on what was looked for before it; h_errno says what happened. */
static void hosts_by_name(void) {
    for (size_t i = 0; i < COUNT(hosts); i++) {
        h_errno = 55;
        say("gethostbyname(%s)", hosts[i]);
        say_host(gethostbyname(hosts[i]));
        say(" h_errno %d\n", h_errno);
        static const int families[] = {AF_INET, AF_INET6};
        for (size_t f = 0; f < COUNT(families); f++) {
            h_errno = 55;
            say("gethostbyname2(%s, %d)", hosts[i], families[f]);
            say_host(gethostbyname2(hosts[i], families[f]));
            say(" h_errno %d\n", h_errno);
        }
    }
}

static void hosts_by_address(void) {
    static const char *texts[] = {"127.0.0.1", "192.0.2.7", "10.9.0.7", "10.7.0.7", "::1", "2001:db8::7", "::"};
    for (size_t t = 0; t < COUNT(texts); t++) {
        static char bytes[4096]; /* as long as the longest that is claimed, for checkers */
        char memory[512];
        int family = strchr(texts[t], ':') ? AF_INET6 : AF_INET;
        socklen_t lengths[] = {family == AF_INET ? 4 : 16, 3, 0, 4096};
        CHECK_EQ(inet_pton(family, texts[t], bytes), 1);
        for (size_t l = 0; l < COUNT(lengths); l++) {
            h_errno = 55;
            say("gethostbyaddr(%s, %u)", texts[t], lengths[l]);
            say_host(gethostbyaddr(bytes, lengths[l], family));
            say(" h_errno %d\n", h_errno);
            struct hostent host, *result = (void *)1;
            int error = 55;
            h_errno = 55;
            int code = gethostbyaddr_r(bytes, lengths[l], family, &host, memory, sizeof memory, &result, &error);
            say("gethostbyaddr_r = %d, %d, h_errno %d", code, error, h_errno);
            CHECK(result == NULL || result == &host);
            say_host(result);
            say("\n");
        }
    }
    say("gethostbyaddr(99)");
    say_host(gethostbyaddr("abcd", 4, 99));
    say(" h_errno %d\n", h_errno);
}

/* Buffers that begin anywhere, of every size: libc's idea of what fits. */
static void into_buffers(void) {
    static char big[8192];
    for (size_t i = 0; i < COUNT(hosts); i++) {
        for (size_t room = 0; room <= 4096; room = room < 256 ? room + 61 : room * 2) {
            struct hostent host, *result = (void *)1;
            int error = 55;
            char *buffer = big + 64 + (i * 7 + room) % 16;
            memset(big, 'b', sizeof big);
            errno = 77;
            h_errno = 55;
            int code = gethostbyname_r(hosts[i], &host, buffer, room, &result, &error);
            say("gethostbyname_r(%s, %zu) = %d, %d, h_errno %d", hosts[i], room, code, error, h_errno);
            CHECK(result == NULL || result == &host);
            say_host(result);
            if (result) {
                CHECK(host.h_name >= buffer && host.h_name < buffer + room);
                CHECK((char *)host.h_aliases >= buffer && (char *)host.h_aliases < buffer + room);
                CHECK(host.h_addr_list[0] >= buffer && host.h_addr_list[0] < buffer + room);
            }
            CHECK(buffer[room] == 'b' && buffer[-1] == 'b');
            say("\n");
        }
        struct hostent host, *result = NULL;
        int error = 55;
        int code = gethostbyname2_r(hosts[i], AF_INET6, &host, big, sizeof big, &result, &error);
        say("gethostbyname2_r(%s) = %d, %d", hosts[i], code, error);
        say_host(result);
        say("\n");
    }
}

/* What the program holds about services and protocols reads files only. */
static void services(void) {
    struct servent *service = getservbyname("vessel", "tcp");
    say("%s %d\n", service ? service->s_name : "null", service ? ntohs((uint16_t)service->s_port) : 0);
    service = getservbyport(htons(4712), "udp");
    say("%s\n", service ? service->s_name : "null");
    struct protoent *protocol = getprotobyname("udp");
    say("%d\n", protocol ? protocol->p_proto : -1);
}

int main(void) {
    dns_world();
    pid_t server = dns_start(0);
    same_start();
    SAME(addresses);
    SAME(names);
    SAME(hosts_by_name);
    SAME(hosts_by_address);
    SAME(into_buffers);
    SAME(services);
    dns_stop(server);
    /* Nobody listens: refused. */
    SAME(hosts_by_name);
    if (!PLAIN) helpers_end();
    return test_done();
}
