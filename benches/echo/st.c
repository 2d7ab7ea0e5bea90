/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "server.h"

#include "../common/st.h"

static void *serve(void *arg)
{
    st_netfd_t fd = arg;
    char buffer[ROOM];
    ssize_t got;

    while ((got = st_read(fd, buffer, sizeof buffer, ST_UTIME_NO_TIMEOUT)) > 0)
        if (st_write(fd, buffer, (size_t)got, ST_UTIME_NO_TIMEOUT) != got)
            break;
    st_netfd_close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    MUST(argc == 2);
    begin_st();
    st_netfd_t listener = st_netfd_open_socket(listen_on(atoi(argv[1]), 0));
    MUST(listener);
    for (;;) {
        st_netfd_t fd = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT);
        if (fd)
            create(serve, fd);
        else /* it accepts before it serves: out of descriptors */
            MUST(errno == EMFILE && st_usleep(1000) == 0);
    }
}
