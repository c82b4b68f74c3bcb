"""The only door to the database.

Belongs here: table definitions and migrations, every SQL statement, the plain records that callers get back,
and `store.lifecycle`, the one way by which a person's access or a membership changes.
Does not belong here: protocol (SCIM, Graph), decisions about who should have access, logging of personal data.
"""
