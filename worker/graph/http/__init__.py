"""HTTP to Microsoft Graph: transport, retries, and the budget of one Entra tenant."""
