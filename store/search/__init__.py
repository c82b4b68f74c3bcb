"""SCIM searches: criteria as values, SQL for each dialect."""
