"""The speed layer: how statements reach SQLite and PostgreSQL. Imported by `store` only."""
