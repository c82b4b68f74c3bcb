"""The pure parts of SCIM: reading bodies, paths, filters, and applying PATCH operations."""
