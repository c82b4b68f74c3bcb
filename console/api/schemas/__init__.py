"""Schemas of what the admin API takes and answers; `console.documents` makes the
answers.
"""
