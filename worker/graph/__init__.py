"""Microsoft Graph: credentials, requests, pages, delta, throttling -> a frozen `Snapshot` with proof of completeness."""
