"""The command tree: one module a noun, with names, options and help texts.

Belongs here: what a person types, and which use case does it. Heavy imports live inside
the functions, so that `leaver --help` stays quick.
Does not belong here: the work itself (`console.admin`), and how its result looks
(`console.cli.views`).
"""
