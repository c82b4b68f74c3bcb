"""The demo: every feature in real processes on one machine, with proof.

Belongs here: the processes in a temporary folder, the simulated company and the seven
people who leave it, the printed report, and the checks of every claim. Nothing is
faked: what is printed was answered by a command, the SCIM endpoint, the database or the
simulated Entra tenant.
"""
