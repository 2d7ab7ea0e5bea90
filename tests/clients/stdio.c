/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * glibc's stdio over a socket, as fdopen makes it, and nginx. Arguments: HOST PORT.
 */
#include "client.h"

#include <netdb.h>

struct talk {
    FILE *in, *out;
};

static struct talk *stream_open(void) {
    struct addrinfo *found, *at, hints = {.ai_socktype = SOCK_STREAM};
    struct talk *talk = calloc(1, sizeof *talk);
    int fd = -1;
    CHECK_EQ(getaddrinfo(client_args[0], client_args[1], &hints, &found), 0);
    for (at = found; at; at = at->ai_next) {
        CHECK((fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol)) >= 0);
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) break;
        CHECK_EQ(close(fd), 0);
    }
    CHECK(talk && at);
    freeaddrinfo(found);
    CHECK((talk->in = fdopen(fd, "r")) != NULL);
    CHECK((talk->out = fdopen(dup(fd), "w")) != NULL);
    CHECK_EQ(fileno(talk->in), fd);
    return talk;
}

/* Asks for a page, and takes its head line by line; the length of its body. */
static size_t ask(struct talk *talk, const char *method, const char *path, int number, const char *body, size_t size) {
    char line[512];
    size_t length = 0;
    CHECK(fprintf(talk->out, "%s %s%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", method, path, number, size) > 0);
    CHECK_EQ(fwrite(body, 1, size, talk->out), size);
    CHECK_EQ(fflush(talk->out), 0);
    CHECK(fgets(line, sizeof line, talk->in) != NULL);
    CHECK(strncmp(line, "HTTP/1.1 ", 9) == 0);
    while (fgets(line, sizeof line, talk->in) && strcmp(line, "\r\n") != 0)
        if (strncasecmp(line, "Content-Length:", 15) == 0) length = (size_t)atol(line + 15);
    return length;
}

static void get(struct talk *talk, const char *path, int number) {
    char want[64], text[64];
    size_t length = ask(talk, "GET", path, number, "", 0);
    snprintf(want, sizeof want, "%s%d\n", path, number);
    CHECK_EQ(length, strlen(want));
    CHECK(fgets(text, sizeof text, talk->in) != NULL);
    CHECK_STR(text, want);
}

static void *client_open(int number) {
    struct talk *talk = stream_open();
    get(talk, "/quick/", number);
    return talk;
}

static void client_wait(void *client, int number) {
    get(client, "/slow/", number);
}

static void client_quick(void *client, int round) {
    get(client, "/quick/", round);
}

static void client_close(void *client) {
    struct talk *talk = client;
    CHECK_EQ(fclose(talk->in), 0);
    CHECK_EQ(fclose(talk->out), 0);
    free(talk);
}

static void client_beside(void) {}

static void show(struct talk *talk, const char *method, const char *path, const char *body, size_t size) {
    size_t length = ask(talk, method, path, 1, body, size);
    char *answer = malloc(length + 1);
    CHECK(answer != NULL);
    size_t got = fread(answer, 1, length, talk->in);
    printf("%s %s: %zu of %zu bytes, digest %u, error %d, end %d\n", method, path, got, length, digest(answer, got),
           ferror(talk->in) != 0, feof(talk->in) != 0);
    free(answer);
}

/* What stdio over a socket does besides: by lines, by characters and back, unbuffered, with errors. */
static void streams(void) {
    int ends[2], value = 0;
    char *line = NULL, word[16] = "";
    size_t room = 0;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    FILE *one = fdopen(ends[0], "r"), *other = fdopen(ends[1], "w");
    CHECK(one && other);
    printf("buffer %d\n", setvbuf(other, NULL, _IOLBF, 0));
    fputs("a line\nand 42 words", other);
    ssize_t n = getline(&line, &room, one);
    printf("getline %zd %s", n, line);
    fflush(other);
    n = fscanf(one, "%15s %d", word, &value);
    printf("fscanf %zd %s %d\n", n, word, value);
    int c = fgetc(one);
    printf("fgetc %d ungetc %d\n", c, ungetc('x', one));
    printf("unbuffered %d\n", setvbuf(other, NULL, _IONBF, 0));
    printf("fputc %d\n", fputc('!', other));
    c = fgetc(one);
    printf("fgetc %c\n", c);
    printf("seek %d %s\n", fseek(one, 0, SEEK_SET), strerror(errno));
    printf("tell %ld %s\n", ftell(one), strerror(errno));
    printf("fclose %d\n", fclose(other));
    n = getline(&line, &room, one);
    printf("getline %zd %s\n", n, line);
    n = getline(&line, &room, one);
    printf("getline %zd end %d error %d\n", n, feof(one) != 0, ferror(one) != 0);
    printf("fclose %d\n", fclose(one));
    free(line);

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    set_timeout(ends[0], SO_RCVTIMEO, 100);
    one = fdopen(ends[0], "r+");
    c = fgetc(one);
    printf("too slow %d end %d error %d, %s\n", c, feof(one) != 0, ferror(one) != 0, strerror(errno));
    clearerr(one);
    CHECK_EQ(close(ends[1]), 0);
    fputs("nobody reads this", one);
    n = fflush(one);
    printf("fflush %zd error %d, %s\n", n, ferror(one) != 0, strerror(errno));
    n = fclose(one);
    printf("fclose %zd\n", n);
}

static void client_talk(void) {
    char *text = large_text();
    signal(SIGPIPE, SIG_IGN);
    struct talk *talk = client_open(0);
    show(talk, "GET", "/slow/", "", 0);
    show(talk, "GET", "/large?", "", 0);
    show(talk, "POST", "/length/", text, LARGE);
    show(talk, "GET", "/nothing/", "", 0);
    client_close(talk);
    streams();
    free(text);
}

CLIENT_MAIN
