"""Use cases: one function a deed, called by every face.

A use case takes the services, the `Actor` and a record of what is wanted. It returns
records, raises the typed errors of `console.admin.errors`, and writes the audit entry
in the transaction of the change. It prints nothing and knows no command and no URL
path.
"""
