"""Use cases about events: the feed, and webhooks."""
