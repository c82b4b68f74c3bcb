"""SCIM schemas, attribute paths and filters, and where Entra's requests differ from the
RFC.
"""
