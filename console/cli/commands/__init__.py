"""The command tree: one module per noun, with names, options and help texts.

Belongs here: what a person types, and which function does it. Heavy imports live inside the functions, so
that `leaver --help` stays quick.
Does not belong here: the work itself, and what its result looks like (`console.views`).
"""
