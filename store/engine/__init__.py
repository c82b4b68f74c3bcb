"""The speed layer: how statements reach SQLite and PostgreSQL.

Only `store` imports it. It stays because it was measured. It consists of

- prepared statements: a statement is compiled once and passed to the driver as it is
  (`prepared_statements`);
- inline reads: on SQLite a query that an index answers runs on the event loop and makes
  no trip to a thread (`sqlite_connection`);
- group commit: one thread writes a SQLite file and commits the works of many callers
  together (`sqlite_writer`);
- JSON and COPY writes: on PostgreSQL the rows of several tables are one statement, and
  very many rows are one COPY (`bulk_write`).

What each database does with the layer and without all of it:

    figure                       with     without
    creates/s on SQLite         4,900       2,170
    creates/s on PostgreSQL     4,480       1,010
    look-up, µs                    37         183

The way to measure is in docs/performance.md. `store.database` offers other rooms what
they need to know of a database: its URL, its limits, its errors.
"""
