"""Do the pull, and everything that runs by itself.

Belongs here: reading Microsoft Graph (`graph`), deciding (`reconcile`, pure), one
cycle, applying, on-demand provisioning, the job engine and the schedule. Does not
belong here: SQL (`store`), HTTP (`scim`, `console`).
"""
