"""Results as text for a person, beside the document that `--json` prints.

Belongs here: tables, wording, exit statuses. The field names of documents are those of
`console.documents`. No I/O.
"""
