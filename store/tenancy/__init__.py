"""Tenants, connections and the credentials that open them."""
