"""The store on real databases: every test here runs on SQLite and on PostgreSQL."""
