"""Random Entra life against the real thing, from one seed; after every step what must always hold is checked.

Here belongs what makes the life, what disturbs it, and what is promised about it (design.md §7).
"""
