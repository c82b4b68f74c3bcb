"""People and programs: use cases, their faces, and the processes.

Belongs here: what a person or a program can ask for (`admin`), the shapes of the
answers (`documents`), and the faces that parse and render (`cli`, `server`, `demo`).
Faces do not import one another; `main` puts them together. Does not belong here: SQL
(`store`), protocol (`scim`), decisions about who should have access (`worker`).
"""
