"""Attribute mapping: which Entra attribute fills which SCIM attribute, and scoping."""
