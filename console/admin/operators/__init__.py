"""Use cases about operators, who act over all tenants."""
