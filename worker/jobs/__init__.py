"""Durable jobs: the queue, what runs in it, and how a command hands work over."""
