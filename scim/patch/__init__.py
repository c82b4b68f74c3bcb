"""PATCH on plain documents: RFC 7644 §3.5.2 and both of Entra's dialects."""
