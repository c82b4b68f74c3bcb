"""Push: the SCIM 2.0 service provider that Entra's provisioning service calls.

Belongs here: the protocol (RFC 7643, RFC 7644), Entra's dialects of it, the HTTP
endpoints and their authentication. `app` receives a request, `auth.gate` authenticates
it, `router` routes it. It is read against a schema (`patch.operations`,
`schema.filters`), and becomes one call of `store.lifecycle` or one query of
`store.search.query`. Does not belong here: what a change means for a user
(`store.lifecycle`), SQL (`store`).
"""
