"""The HTTP server: SCIM, health and metrics, the worker beside it."""
