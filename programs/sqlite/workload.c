/* A workload for SQLite: `workload ROWS [FILE]`.
 *
 * Fills a small shop's tables, asks questions that need indexes, joins, grouping, window functions, recursion and text
 * functions, changes and rolls back, and prints each answer. With FILE the database is that file instead of memory, and
 * is closed, opened again and checked. Nothing printed depends on time, chance or the machine. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sqlite3.h"

static uint64_t state = 88172645463325252u;

static uint32_t chance(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % limit;
}

static void stop(sqlite3 *db, const char *doing) {
    fprintf(stderr, "workload: %s: %s\n", doing, db ? sqlite3_errmsg(db) : "out of memory");
    exit(1);
}

static void execute(sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        stop(db, sql);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        stop(db, sql);
    return statement;
}

/* Prints the answer's first rows, the number of all of them and a checksum over every cell's text. */
static void ask(sqlite3 *db, const char *title, const char *sql) {
    sqlite3_stmt *statement = prepare(db, sql);
    uint32_t sum = 2166136261u, rows = 0;
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        int columns = sqlite3_column_count(statement);
        if (rows < 3)
            printf("%s:", title);
        for (int i = 0; i < columns; i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            text = text ? text : "NULL";
            if (rows < 3)
                printf(" %.40s", text);
            for (; *text; text++)
                sum = (sum ^ (uint8_t)*text) * 16777619u;
        }
        if (rows++ < 3)
            printf("\n");
    }
    if (result != SQLITE_DONE)
        stop(db, sql);
    sqlite3_finalize(statement);
    printf("%s: %u rows, checksum %08x\n", title, rows, sum);
}

static void bind_text(sqlite3_stmt *statement, int at, char *buffer, const char *format, uint32_t number) {
    int bytes = snprintf(buffer, 64, format, number);
    sqlite3_bind_text(statement, at, buffer, bytes, SQLITE_TRANSIENT);
}

static void insert_all(sqlite3 *db, uint32_t rows) {
    char text[64];
    sqlite3_stmt *customer = prepare(db, "INSERT INTO customer(name, city) VALUES (?, ?)");
    for (uint32_t i = 0; i < rows / 10; i++) {
        bind_text(customer, 1, text, "customer-%05u", chance(100000));
        bind_text(customer, 2, text, "city-%02u", chance(37));
        if (sqlite3_step(customer) != SQLITE_DONE)
            stop(db, "insert customer");
        sqlite3_reset(customer);
    }
    sqlite3_finalize(customer);
    sqlite3_stmt *sale = prepare(db, "INSERT INTO sale(customer, item, price, amount, note) VALUES (?, ?, ?, ?, ?)");
    for (uint32_t i = 0; i < rows; i++) {
        sqlite3_bind_int(sale, 1, (int)chance(rows / 10) + 1);
        bind_text(sale, 2, text, "item-%03u", chance(400));
        sqlite3_bind_double(sale, 3, chance(100000) / 64.0);
        sqlite3_bind_int(sale, 4, (int)chance(20) + 1);
        if (i % 5)
            bind_text(sale, 5, text, "a note on sale %u, longer than a cell", i);
        else
            sqlite3_bind_null(sale, 5);
        if (sqlite3_step(sale) != SQLITE_DONE)
            stop(db, "insert sale");
        sqlite3_reset(sale);
    }
    sqlite3_finalize(sale);
}

static void create(sqlite3 *db, uint32_t rows) {
    execute(db, "BEGIN");
    execute(db, "CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL)");
    execute(db, "CREATE TABLE sale(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer(id), item TEXT,"
                " price REAL, amount INTEGER CHECK(amount > 0), note TEXT)");
    execute(db, "CREATE INDEX sale_by_customer ON sale(customer)");
    execute(db, "CREATE TABLE audit(what TEXT, sale INTEGER)");
    execute(db, "CREATE TRIGGER sale_changed AFTER UPDATE OF amount ON sale BEGIN"
                " INSERT INTO audit VALUES (old.amount || '->' || new.amount, new.id); END");
    insert_all(db, rows);
    execute(db, "CREATE INDEX sale_by_item ON sale(item, price)");
    execute(db, "ANALYZE");
    execute(db, "COMMIT");
}

static void look_up(sqlite3 *db, uint32_t rows) {
    sqlite3_stmt *by_key = prepare(db, "SELECT price * amount FROM sale WHERE id = ?");
    sqlite3_stmt *by_index = prepare(db, "SELECT count(*), sum(amount) FROM sale WHERE item = ? AND price < ?");
    double total = 0;
    int64_t found = 0;
    for (uint32_t i = 0; i < rows; i++) {
        sqlite3_bind_int(by_key, 1, (int)chance(rows) + 1);
        if (sqlite3_step(by_key) == SQLITE_ROW)
            total += sqlite3_column_double(by_key, 0);
        sqlite3_reset(by_key);
        if (i % 4)
            continue;
        char text[64];
        bind_text(by_index, 1, text, "item-%03u", chance(400));
        sqlite3_bind_double(by_index, 2, chance(1500));
        if (sqlite3_step(by_index) == SQLITE_ROW)
            found += sqlite3_column_int64(by_index, 0) * 1000 + sqlite3_column_int64(by_index, 1);
        sqlite3_reset(by_index);
    }
    sqlite3_finalize(by_key);
    sqlite3_finalize(by_index);
    printf("look-ups: %.6f %lld\n", total, (long long)found);
}

static void question(sqlite3 *db) {
    ask(db, "cities", "SELECT city, count(*), round(sum(price * amount), 2) FROM sale JOIN customer"
                      " ON customer.id = sale.customer GROUP BY city ORDER BY 3 DESC");
    ask(db, "best items", "SELECT item, avg(price), max(amount) FROM sale GROUP BY item HAVING count(*) > 5"
                          " ORDER BY avg(price) DESC, item LIMIT 50");
    ask(db, "ranking", "SELECT item, price, rank() OVER (PARTITION BY item ORDER BY price DESC) AS place FROM sale"
                       " WHERE item < 'item-040' ORDER BY item, place, id");
    ask(db, "text", "SELECT upper(substr(name, -5)), length(note), instr(note, '7'), replace(note, 'sale', 'SALE')"
                    " FROM sale JOIN customer ON customer.id = sale.customer WHERE note LIKE '%9%' ORDER BY sale.id");
    ask(db, "series", "WITH RECURSIVE series(n, a, b) AS (SELECT 1, 0, 1 UNION ALL SELECT n + 1, b, a + b FROM series"
                      " WHERE n < 80) SELECT n, a, a % 97, printf('%.3e', a) FROM series");
    ask(db, "subquery", "SELECT name FROM customer WHERE id IN (SELECT customer FROM sale WHERE amount = 20 AND note IS"
                        " NULL) AND NOT EXISTS (SELECT 1 FROM sale WHERE sale.customer = customer.id AND amount = 1)"
                        " ORDER BY name, id");
    ask(db, "union", "SELECT item FROM sale WHERE price > 1500 EXCEPT SELECT item FROM sale WHERE price < 3"
                     " ORDER BY 1");
    ask(db, "json", "SELECT json_group_array(json_object('city', city, 'n', n)) FROM"
                    " (SELECT city, count(*) AS n FROM customer GROUP BY city ORDER BY city)");
    ask(db, "plan", "EXPLAIN QUERY PLAN SELECT * FROM sale WHERE item = 'item-001' AND price > 10");
}

static void change(sqlite3 *db) {
    execute(db, "UPDATE sale SET amount = amount + 1 WHERE item BETWEEN 'item-100' AND 'item-120'");
    execute(db, "BEGIN; DELETE FROM sale WHERE price > 100; ROLLBACK");
    execute(db, "SAVEPOINT s; UPDATE customer SET city = 'nowhere'; ROLLBACK TO s; RELEASE s");
    if (sqlite3_exec(db, "UPDATE sale SET amount = 0 WHERE id = 1", NULL, NULL, NULL) != SQLITE_CONSTRAINT)
        stop(db, "a CHECK that must fail did not");
    printf("refused: %s\n", sqlite3_errmsg(db));
    execute(db, "DELETE FROM sale WHERE id % 7 = 3");
    execute(db, "INSERT INTO sale(id, item, amount) VALUES (1, 'kept', 1) ON CONFLICT(id) DO UPDATE SET note = 'twice'");
    ask(db, "changed", "SELECT count(*), sum(amount), total(price), count(DISTINCT note) FROM sale");
    ask(db, "audit", "SELECT what, count(*) FROM audit GROUP BY what ORDER BY what");
}

static sqlite3 *open_database(const char *name) {
    sqlite3 *db;
    if (sqlite3_open(name, &db) != SQLITE_OK)
        stop(db, name);
    execute(db, "PRAGMA foreign_keys = on");
    return db;
}

int main(int argc, char **argv) {
    uint32_t rows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    if (rows < 100) {
        fprintf(stderr, "usage: workload ROWS [FILE], with at least 100 rows\n");
        return 2;
    }
    const char *name = argc > 2 ? argv[2] : ":memory:";
    printf("SQLite %s, %u rows\n", sqlite3_libversion(), rows);
    sqlite3 *db = open_database(name);
    create(db, rows);
    if (argc > 2) {
        sqlite3_close(db);
        db = open_database(name);
        /* Few pages in memory, so that the file is read and written a lot; not waiting for the disk, so that the time
         * is the program's. Creating the tables did wait. */
        execute(db, "PRAGMA cache_size = 200; PRAGMA synchronous = off");
    }
    look_up(db, rows);
    question(db);
    change(db);
    execute(db, "VACUUM");
    ask(db, "integrity", "PRAGMA integrity_check");
    ask(db, "pages", "PRAGMA page_count");
    if (sqlite3_close(db) != SQLITE_OK)
        stop(db, "close");
    if (argc > 2 && unlink(name) != 0)
        stop(NULL, "remove the file");
    return 0;
}
