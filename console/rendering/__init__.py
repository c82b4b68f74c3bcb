"""Text for people, shared by the command line and the demo.

The demo shows what the commands show. Faces do not import one another, so what both
print is rendered here.
"""
