"""Commands about what leaves Leaver: events and webhooks."""
