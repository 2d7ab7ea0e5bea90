/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A program with the archive has libc's own look-ups, in and outside coroutines; a static one links and runs.
 */
// modes: shared fortify archive static ring
#include "core.h"

#include <netdb.h>

static int found;

static void looks_up(void *argument) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char host[64];
    (void)argument;
    int code = getaddrinfo("localhost", "80", &hints, &list);
    if (code != 0) TEST_FAIL("getaddrinfo: %s", gai_strerror(code));
    CHECK_EQ(ntohl(((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST), 0);
    CHECK_STR(host, "127.0.0.1");
    freeaddrinfo(list);
    CHECK(gethostbyname("localhost") != NULL);
    found++;
}

int main(void) {
    looks_up(NULL);
    spawn(looks_up, NULL);
    spawn(looks_up, NULL);
    run_all();
    CHECK_EQ(found, 3);
    return test_done();
}
