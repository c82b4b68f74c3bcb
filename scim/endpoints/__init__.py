"""The SCIM endpoints: Users, Groups, Me, Bulk, search, discovery."""
