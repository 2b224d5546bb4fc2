"""The database: tables, named queries, migrations."""
