"""The SCIM endpoints over HTTP on real databases: what Entra sends and what RFC 7644 says."""
