"""Who sends a request: bearer tokens, client credentials, federated assertions."""
