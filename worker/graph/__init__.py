"""Read Microsoft Graph: credentials, requests and pages, up to a `Snapshot`."""
