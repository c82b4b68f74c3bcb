"""Deliver events to the vendor's app: envelope, signature, endpoints, retries."""
