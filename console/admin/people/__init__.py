"""Use cases about the accounts and groups of a connection."""
