"""Decide what has to change. PURE: snapshot, state, policy and `now` in, a frozen plan
out.

Imports the standard library and `store.records` only; no clock, I/O, logging or metrics
(import-linter enforces it). Read in this order: `snapshot` (what Graph said), `state`
(what Leaver holds), `mapping`, `entitlement`, `planning` (first `matching`, then
`users`, `groups`, `memberships`, put together by `planner`), `guard`, `confirmation`,
`partitioning`.
"""
