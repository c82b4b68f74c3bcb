"""What others say a SCIM server and Microsoft Graph are like, asked of ours by `make conformance`."""
