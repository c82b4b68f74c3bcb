"""Measured ratios: each figure stands against a floor or a peer of the same run; `make bench` prints all.

Never run by the tests: a time is no claim about behaviour. What was found is written in docs/performance.md.
"""
