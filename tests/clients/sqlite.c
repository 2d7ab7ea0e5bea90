/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * SQLite, a file that all coroutines share. A query that takes its time holds the file's shared lock, and the
 * connection's mutex, while it waits; a writer waits meanwhile for all readers to go. At the end each coroutine writes,
 * against all others. Arguments: FILE, rollback or wal, and
 * "files" where coroutines shall wait for the disk, too: SQLite holds mutexes of the process meanwhile.
 */
#include "client.h"

#include <sqlite3.h>

static int is_wal(void) {
    return strcmp(client_args[1], "wal") == 0;
}

/* Somebody else has the lock. SQLite's own handler would try again after up to 100 ms. */
static int busy(void *argument, int tries) {
    (void)argument;
    usleep(tries < 5 ? 1000 : 5000);
    return tries < 2000;
}

/* The SQL function pause(ms). */
static void sql_pause(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    usleep((useconds_t)sqlite3_value_int(values[0]) * 1000);
    sqlite3_result_int(context, 0);
}

static sqlite3 *sqlite_open(void) {
    sqlite3 *db = NULL;
#ifndef PLAIN
    CHECK(dyco_hook_files(client_args[2] != NULL) >= 0);
#endif
    CHECK_SAYS(sqlite3_open(client_args[0], &db) == SQLITE_OK, sqlite3_errmsg(db));
    CHECK_EQ(sqlite3_busy_handler(db, busy, NULL), SQLITE_OK);
    CHECK_EQ(sqlite3_create_function(db, "pause", 1, SQLITE_UTF8, NULL, sql_pause, NULL, NULL), SQLITE_OK);
    return db;
}

static void run(sqlite3 *db, const char *sql) {
    CHECK_SAYS(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(db));
}

static int number_of(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    CHECK_SAYS(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, sqlite3_errmsg(db));
    CHECK_SAYS(sqlite3_step(statement) == SQLITE_ROW, sqlite3_errmsg(db));
    int number = sqlite3_column_int(statement, 0);
    CHECK_SAYS(sqlite3_step(statement) == SQLITE_DONE, sqlite3_errmsg(db));
    CHECK_EQ(sqlite3_finalize(statement), SQLITE_OK);
    return number;
}

/* Its own row is there. */
static void *client_open(int number) {
    char sql[128];
    sqlite3 *db = sqlite_open();
    /* Of those who change this at the same time SQLite tells some at once that they are late. */
    while (sqlite3_exec(db, is_wal() ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) == SQLITE_BUSY)
        usleep(2000);
    run(db, "CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, value INTEGER)");
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO rows VALUES (%d, %d)", number, number * 7);
    run(db, sql);
    return db;
}

static void client_wait(void *client, int number) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT value + pause(%d) FROM rows WHERE number = %d", WAIT_MS, number);
    CHECK_EQ(number_of(client, sql), number * 7);
}

/* The commit has to wait until nobody reads, unless there is a log. */
static void client_beside(void) {
    sqlite3 *db = sqlite_open();
    usleep(WAIT_MS * 1000 / 2);
    run(db, "BEGIN IMMEDIATE");
    run(db, "INSERT OR REPLACE INTO rows VALUES (1000, 0)");
    run(db, "COMMIT");
    CHECK_EQ(sqlite3_close(db), SQLITE_OK);
}

static void client_quick(void *client, int round) {
    (void)round;
    CHECK_EQ(number_of(client, "SELECT value FROM rows WHERE number = 0"), 0);
}

/* A transaction that goes on while its holder waits. */
static void client_close(void *client) {
    run(client, "BEGIN IMMEDIATE");
    int before = number_of(client, "SELECT count(*) FROM rows");
    run(client, "INSERT INTO rows (value) VALUES (pause(1))");
    CHECK_EQ(number_of(client, "SELECT count(*) FROM rows"), before + 1);
    run(client, "COMMIT");
    CHECK_SAYS(sqlite3_close(client) == SQLITE_OK, sqlite3_errmsg(client));
}

static void show(const char *what, sqlite3 *db, const char *sql) {
    char *error = NULL;
    int result = sqlite3_exec(db, sql, NULL, NULL, &error);
    printf("%s: %d, %s, %d changes\n", what, result, error ? error : "-", sqlite3_changes(db));
    sqlite3_free(error);
}

static void client_talk(void) {
    sqlite3 *db = sqlite_open(), *other = sqlite_open();
    show("drop", db, "DROP TABLE IF EXISTS talk");
    show("create", db, "CREATE TABLE talk (n INTEGER PRIMARY KEY, t TEXT)");
    show("many", db, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000) "
                     "INSERT INTO talk SELECT n, hex(randomblob(20)) FROM c");
    printf("sum: %d\n", number_of(db, "SELECT sum(n) % 1000003 FROM talk"));
    show("again", db, "INSERT INTO talk VALUES (1, 'x')");
    show("no table", db, "SELECT * FROM nowhere");
    show("begin", db, "BEGIN IMMEDIATE");
    show("update", db, "UPDATE talk SET t = 'y' WHERE n < 100");
    CHECK_EQ(sqlite3_busy_timeout(other, 200), SQLITE_OK);
    show("busy", other, "UPDATE talk SET t = 'z' WHERE n < 10");
    show("commit", db, "COMMIT");
    show("no longer", other, "UPDATE talk SET t = 'z' WHERE n < 10");
    show("delete", db, "DELETE FROM talk");
    show("vacuum", db, "VACUUM");
    show("check", db, "PRAGMA integrity_check");
    printf("close: %d %d\n", sqlite3_close(db), sqlite3_close(other));
}

CLIENT_MAIN
