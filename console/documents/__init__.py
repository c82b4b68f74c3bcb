"""JSON documents: the shapes of design.md §6, as plain functions of records.

`--json` prints them, the admin API answers them, and a page's script reads them. Every
list is `{"items": [...], "next": cursor or null}`.
"""
