/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libpq and PostgreSQL. Arguments: HOST PORT CLOSED_PORT USER.
 */
#include "client.h"

#include <libpq-fe.h>

static PGconn *pg_open(const char *port, const char *more) {
    char settings[512];
    snprintf(settings, sizeof settings, "host=%s port=%s user=%s dbname=postgres %s", client_args[0], port, client_args[3],
             more);
    PGconn *pg = PQconnectdb(settings);
    CHECK(pg != NULL);
    return pg;
}

static void *client_open(int number) {
    (void)number;
    PGconn *pg = pg_open(client_args[1], "sslmode=disable");
    CHECK_SAYS(PQstatus(pg) == CONNECTION_OK, PQerrorMessage(pg));
    return pg;
}

static void ask(PGconn *pg, const char *query, const char *want) {
    PGresult *result = PQexec(pg, query);
    CHECK_SAYS(PQresultStatus(result) == PGRES_TUPLES_OK, PQerrorMessage(pg));
    CHECK_EQ(PQntuples(result), 1);
    CHECK_STR(PQgetvalue(result, 0, 0), want);
    PQclear(result);
}

static void client_wait(void *client, int number) {
    char query[64], want[16];
    snprintf(query, sizeof query, "SELECT %d FROM pg_sleep(%d.%03d)", number, WAIT_MS / 1000, WAIT_MS % 1000);
    snprintf(want, sizeof want, "%d", number);
    ask(client, query, want);
}

static void client_quick(void *client, int round) {
    char query[64], want[16];
    snprintf(query, sizeof query, "SELECT %d", round);
    snprintf(want, sizeof want, "%d", round);
    ask(client, query, want);
}

static void client_close(void *client) {
    PQfinish(client);
}

static void client_beside(void) {}

static void show(const char *what, PGconn *pg, PGresult *result) {
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    printf("%s: %s, %s", what, PQresStatus(PQresultStatus(result)), state ? state : "-");
    for (int row = 0; row < PQntuples(result) && row < 3; row++)
        for (int column = 0; column < PQnfields(result); column++)
            printf(", %d bytes, digest %u", PQgetlength(result, row, column),
                   digest(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)));
    printf(", %s\n", PQerrorMessage(pg));
    PQclear(result);
}

static void show_end(const char *what, PGconn *pg) {
    printf("%s: status %d, %s\n", what, PQstatus(pg), PQerrorMessage(pg));
    PQfinish(pg);
}

static void notice(void *argument, const char *message) {
    (void)argument;
    printf("notice: %s", message);
}

static void copies(PGconn *pg, const char *text) {
    char *piece;
    int size, pieces = 0;
    unsigned sum = 0;
    show("table", pg, PQexec(pg, "CREATE TEMP TABLE copied (line text)"));
    show("copy in", pg, PQexec(pg, "COPY copied FROM STDIN"));
    for (int at = 0; at < LARGE; at += 10000) {
        CHECK_EQ(PQputCopyData(pg, text + at, 10000), 1);
        CHECK_EQ(PQputCopyData(pg, "\n", 1), 1);
    }
    CHECK_EQ(PQputCopyEnd(pg, NULL), 1);
    show("copied in", pg, PQgetResult(pg));
    show("no more", pg, PQgetResult(pg));
    show("copy out", pg, PQexec(pg, "COPY copied TO STDOUT"));
    while ((size = PQgetCopyData(pg, &piece, 0)) > 0) {
        sum += digest(piece, (size_t)size);
        pieces++;
        PQfreemem(piece);
    }
    printf("copied out: %d pieces, digest %u\n", pieces, sum);
    show("end", pg, PQgetResult(pg));
    show("no more", pg, PQgetResult(pg));
}

static void client_talk(void) {
    const char *parameters[] = {large_text(), "7"};
    PGconn *pg = client_open(0);
    PQsetNoticeProcessor(pg, notice, NULL);
    show("large", pg, PQexecParams(pg, "SELECT $1::text, $2::int + 1", 2, NULL, parameters, NULL, NULL, 0));
    show("prepare", pg, PQprepare(pg, "plus", "SELECT $1::int + 1", 1, NULL));
    show("execute", pg, PQexecPrepared(pg, "plus", 1, parameters + 1, NULL, NULL, 0));
    show("syntax", pg, PQexec(pg, "SELEKT 1"));
    show("zero", pg, PQexec(pg, "SELECT 1 / 0"));
    show("notice", pg, PQexec(pg, "DO $$ BEGIN RAISE NOTICE 'hello'; END $$"));
    show("many rows", pg, PQexec(pg, "SELECT repeat(n::text, 10) FROM generate_series(1, 20000) n"));
    copies(pg, parameters[0]);
    show("limit", pg, PQexec(pg, "SET statement_timeout = 200"));
    show("too slow", pg, PQexec(pg, "SELECT pg_sleep(5)"));
    show("no limit", pg, PQexec(pg, "SET statement_timeout = 0"));

    PGconn *other = client_open(1);
    show("listen", pg, PQexec(pg, "LISTEN news"));
    show("notify", other, PQexec(other, "NOTIFY news, 'hello'"));
    PGnotify *news = NULL;
    while (!news) {
        struct pollfd waits = {PQsocket(pg), POLLIN, 0};
        CHECK_EQ(poll(&waits, 1, 5000), 1);
        CHECK_EQ(PQconsumeInput(pg), 1);
        news = PQnotifies(pg);
    }
    printf("news: %s, %s\n", news->relname, news->extra);
    PQfreemem(news);
    PQfinish(other);
    show("terminated", pg, PQexec(pg, "SELECT pg_terminate_backend(pg_backend_pid())"));
    show_end("the end", pg);

    pg = pg_open(client_args[1], "sslmode=require");
    printf("TLS: %d\n", PQsslInUse(pg));
    show("large by TLS", pg, PQexecParams(pg, "SELECT $1::text, $2::int + 1", 2, NULL, parameters, NULL, NULL, 0));
    show("sleep by TLS", pg, PQexec(pg, "SELECT pg_sleep(0.2)"));
    show_end("the end of TLS", pg);
    show_end("nobody listens", pg_open(client_args[2], "connect_timeout=2"));
    show_end("in time", pg_open(client_args[1], "connect_timeout=2"));
    free((char *)parameters[0]);
}

CLIENT_MAIN
