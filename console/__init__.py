"""People: the command line, the HTTP server, the demo.

Belongs here: the `leaver` command, what it prints, how processes are put together.
Does not belong here: SQL (`store`), protocol (`scim`), decisions about who should have access (`worker`).
"""
