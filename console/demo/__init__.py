"""The demo: the whole story in real processes on one machine.

Belongs here: the stage (processes in a temporary folder), the company and who leaves it, the story as it is
told, and the proof that every claim is true. Nothing is faked: what is shown was answered by a command, the
SCIM endpoint, the database or the simulated Entra tenant.
"""
