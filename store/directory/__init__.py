"""Rows of users, groups and memberships, and what belongs to a user: sessions,
assessment results.
"""
