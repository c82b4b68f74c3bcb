"""Connect a directory: the checklist, and links for a customer's admin."""
