"""The operations of the admin API, by noun: each calls one use case."""
