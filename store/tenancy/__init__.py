"""Tenants, connections and their credentials."""
