"""Use cases about one connection: settings, states, and what it looks like."""
