"""The database: every table, every SQL statement, and the records that callers get
back.

Belongs here: table definitions and migrations, and `store.lifecycle`, the one way by
which a person's access or a membership changes. Does not belong here: protocol (SCIM,
Graph), decisions about entitlement, logging of personal data.
"""
