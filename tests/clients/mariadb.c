/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * libmariadb and MariaDB. Arguments: HOST PORT CLOSED_PORT.
 */
#include "client.h"

#include <mysql.h>

#ifndef LIBMARIADB
#error "mysql.h is not libmariadb's"
#endif

static const int seconds = 1, long_seconds = 5;

static MYSQL *sql_connect(const char *port, int read_limit, int tls) {
    my_bool on = 1, off = 0;
    unsigned protocol = MYSQL_PROTOCOL_TCP; /* by itself it takes "localhost" for a Unix socket */
    MYSQL *sql = mysql_init(NULL);
    CHECK(sql != NULL);
    CHECK_EQ(mysql_options(sql, MYSQL_OPT_PROTOCOL, &protocol), 0);
    if (read_limit) CHECK_EQ(mysql_options(sql, MYSQL_OPT_READ_TIMEOUT, &seconds), 0);
    if (tls) CHECK_EQ(mysql_options(sql, MYSQL_OPT_SSL_ENFORCE, &on), 0);
    CHECK_EQ(mysql_options(sql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &off), 0);
    CHECK_EQ(mysql_options(sql, MYSQL_OPT_CONNECT_TIMEOUT, &long_seconds), 0);
    mysql_real_connect(sql, client_args[0], "test", "", "test", (unsigned)atoi(port), NULL, 0);
    return sql;
}

static void *client_open(int number) {
    (void)number;
    MYSQL *sql = sql_connect(client_args[1], 0, 0);
    CHECK_SAYS(mysql_errno(sql) == 0, mysql_error(sql));
    return sql;
}

static void ask(MYSQL *sql, const char *query, int want) {
    CHECK_SAYS(mysql_query(sql, query) == 0, mysql_error(sql));
    MYSQL_RES *result = mysql_store_result(sql);
    CHECK_SAYS(result != NULL, mysql_error(sql));
    MYSQL_ROW row = mysql_fetch_row(result);
    CHECK(row != NULL);
    CHECK_EQ(atoi(row[0]), want);
    mysql_free_result(result);
}

static void client_wait(void *client, int number) {
    char query[64];
    snprintf(query, sizeof query, "SELECT %d + SLEEP(%d.%03d)", number, WAIT_MS / 1000, WAIT_MS % 1000);
    ask(client, query, number);
}

static void client_quick(void *client, int round) {
    char query[64];
    snprintf(query, sizeof query, "SELECT %d", round);
    ask(client, query, round);
}

static void client_close(void *client) {
    mysql_close(client);
}

static void client_beside(void) {}

static void show(MYSQL *sql, const char *what, const char *query, size_t length) {
    MYSQL_RES *result;
    MYSQL_ROW row;
    if (mysql_real_query(sql, query, length) != 0) {
        printf("%s: error %u, %s, %s\n", what, mysql_errno(sql), mysql_sqlstate(sql), mysql_error(sql));
        return;
    }
    printf("%s:", what);
    if ((result = mysql_use_result(sql)) != NULL) {
        unsigned sum = 0, rows = 0;
        for (; (row = mysql_fetch_row(result)) != NULL; rows++)
            for (unsigned column = 0; column < mysql_num_fields(result); column++)
                if (row[column]) sum += digest(row[column], mysql_fetch_lengths(result)[column]);
        printf(" %u rows, digest %u,", rows, sum);
        mysql_free_result(result);
    }
    printf(" %u, %s\n", mysql_errno(sql), mysql_error(sql));
}

#define SHOW(sql, what, query) show(sql, what, query, strlen(query))

/* A prepared statement with a parameter of 1 MB. */
static void prepared(MYSQL *sql, char *text) {
    static const char query[] = "SELECT LENGTH(?), MD5(?)";
    unsigned long length = LARGE, got = 0;
    char sum[64] = "";
    int number = 0;
    MYSQL_BIND in[2], out[2];
    memset(in, 0, sizeof in);
    memset(out, 0, sizeof out);
    in[0] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING, .buffer = text, .buffer_length = LARGE, .length = &length};
    in[1] = in[0];
    out[0].buffer_type = MYSQL_TYPE_LONG;
    out[0].buffer = &number;
    out[1].buffer_type = MYSQL_TYPE_STRING;
    out[1].buffer = sum;
    out[1].buffer_length = sizeof sum;
    out[1].length = &got;
    MYSQL_STMT *statement = mysql_stmt_init(sql);
    CHECK(statement != NULL);
    printf("prepare: %d\n", mysql_stmt_prepare(statement, query, sizeof query - 1));
    printf("bind: %d %d\n", mysql_stmt_bind_param(statement, in), mysql_stmt_bind_result(statement, out));
    printf("execute: %d\n", mysql_stmt_execute(statement));
    printf("fetch: %d\n", mysql_stmt_fetch(statement));
    printf("fetched: %d, %.*s\n", number, (int)got, sum);
    printf("close: %d\n", mysql_stmt_close(statement));
}

static void client_talk(void) {
    char *text = large_text(), *query = malloc(LARGE + 100);
    CHECK(query != NULL);
    int length = snprintf(query, LARGE + 100, "SELECT '%s'", text);
    MYSQL *sql = client_open(0);
    show(sql, "large", query, (size_t)length);
    prepared(sql, text);
    SHOW(sql, "syntax", "SELEKT 1");
    SHOW(sql, "no table", "SELECT * FROM nothing");
    SHOW(sql, "many rows", "SELECT REPEAT(seq, 10) FROM seq_1_to_20000");
    SHOW(sql, "table", "CREATE TEMPORARY TABLE numbers (n INT PRIMARY KEY)");
    SHOW(sql, "insert", "INSERT INTO numbers VALUES (1), (2), (3)");
    SHOW(sql, "again", "INSERT INTO numbers VALUES (3)");
    printf("ping: %d\n", mysql_ping(sql));
    SHOW(sql, "limit", "SET max_statement_time = 0.2");
    SHOW(sql, "too slow for the server", "SELECT SLEEP(5)");
    SHOW(sql, "killed", "KILL CONNECTION_ID()");
    SHOW(sql, "gone", "SELECT 1");
    mysql_close(sql);

    sql = sql_connect(client_args[1], 1, 0);
    SHOW(sql, "too slow", "SELECT SLEEP(5)");
    mysql_close(sql);

    sql = sql_connect(client_args[1], 0, 1);
    printf("TLS: %d, %s\n", mysql_get_ssl_cipher(sql) != NULL, mysql_error(sql));
    show(sql, "large by TLS", query, (size_t)length);
    SHOW(sql, "sleep by TLS", "SELECT SLEEP(0.2)");
    mysql_close(sql);

    sql = sql_connect(client_args[2], 0, 0);
    printf("nobody listens: %u, %s\n", mysql_errno(sql), mysql_error(sql));
    mysql_close(sql);
    free(text);
    free(query);
}

CLIENT_MAIN
