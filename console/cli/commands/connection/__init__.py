"""Commands about a tenant's links to Entra."""
