"""Divide a plan into what is written now and what waits: `partition` by what Graph
answered and by what the guard decided, `followers` by what depends on another change.
"""
