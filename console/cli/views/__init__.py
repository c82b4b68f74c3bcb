"""What a result looks like: one function per value, which gives the JSON document and the text for a person.

Belongs here: field names that others script against (design.md §6), tables, wording. No I/O, no decisions.
"""
