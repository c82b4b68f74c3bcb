"""PURE: snapshot, state, policy and `now` in, a frozen plan out.

Imports the standard library and `store.records` only; no clock, I/O, logging or metrics (import-linter
enforces it). Read in this order: `snapshot` (what Graph said), `state` (what we hold), `mapping`, `scope`,
`matching`, `planning` (which puts `people`, `groups` and `memberships` together), `guard`, `settlement`.
"""
