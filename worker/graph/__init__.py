"""Microsoft Graph: credentials, requests, pages, throttling -> a frozen `Snapshot` with its proof."""
