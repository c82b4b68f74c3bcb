"""Push: the SCIM 2.0 service provider that Entra's provisioning service calls.

Belongs here: the protocol (RFC 7643, RFC 7644) and Entra's dialects of it, the HTTP endpoints and who may use them.
A request comes in by `app`, passes the gate (`access`), is routed (`service`), read against a schema (`operations`,
`filters`), and becomes one call of `store.lifecycle` or one query of `store.search.query`.
Does not belong here: what a change means for people (`store.lifecycle`), SQL (`store`).
"""
