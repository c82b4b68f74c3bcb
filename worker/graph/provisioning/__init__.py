"""Entra's own provisioning service, asked for one object."""
