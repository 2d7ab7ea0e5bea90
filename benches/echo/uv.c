/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "server.h"

#include <uv.h>

static uv_buf_t only(char *bytes, size_t length)
{
    return uv_buf_init(bytes, (unsigned)length);
}

static void lend(uv_handle_t *stream, size_t suggested, uv_buf_t *buffer)
{
    static char room[ROOM]; /* one message at a time */

    (void)stream, (void)suggested;
    *buffer = only(room, sizeof room);
}

static void gone(uv_handle_t *stream)
{
    free(stream);
}

static void answer(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    if (got > 0) {
        uv_buf_t back = only(buffer->base, (size_t)got);
        if (uv_try_write(stream, &back, 1) == got)
            return;
    }
    if (got != 0)
        uv_close((uv_handle_t *)stream, gone);
}

static void greet(uv_stream_t *listener, int status)
{
    uv_tcp_t *peer = malloc(sizeof *peer);

    MUST(status == 0 && peer);
    MUST(uv_tcp_init(listener->loop, peer) == 0);
    MUST(uv_accept(listener, (uv_stream_t *)peer) == 0);
    MUST(uv_read_start((uv_stream_t *)peer, lend, answer) == 0);
}

int main(int argc, char **argv)
{
    uv_tcp_t listener;

    MUST(argc == 2);
    uv_loop_t *loop = uv_default_loop();
    MUST(uv_tcp_init(loop, &listener) == 0);
    MUST(uv_tcp_open(&listener, listen_on(atoi(argv[1]), 0)) == 0);
    MUST(uv_listen((uv_stream_t *)&listener, 4096, greet) == 0);
    return uv_run(loop, UV_RUN_DEFAULT);
}
