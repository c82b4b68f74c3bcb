"""Limits that Microsoft documents for Graph, as far as the simulator enforces them.

OpenAPI descriptions show none of them, so a client that was only generated meets them
in production first.

| limit | value | source |
| --- | --- | --- |
| page of a directory list | 100 by default | user-list |
| largest `$top`; above it 400 | 999 | user-list, group-list-members |
| page with `$expand`, also if `$top` is larger | 100 | docs#21506, #21516 |
| objects of an expanded relation | 20, no next link | known issues 13635 |
| relations in one `$expand` of a user | 1 | docs#96 |
| `$expand` in an advanced query | 400 [1] | aad-advanced-queries |
| `ne`, `not`, `endsWith`, casts, `$count` | advanced only [2] | aad-advanced-queries |
| values after `in`, unless advanced | 15 | docs#21098 |
| `@odata.count` | first page only | paging |
| ids in the filter of a delta query | 50 | delta-query-users |
| life of a delta token | 7 days | delta-query-overview |
| requests in a `$batch` | 20 | json-batching |
| ids in `getByIds` | 1,000 | directoryobject-getbyids |
| groups in `checkMemberGroups` | 20 | directoryobject-checkmembergroups |
| resource units of an app per 10 s [3] | 3,500/5,000/8,000 | throttling-limits |
| audit log or on demand, per 10 s | 5 requests | throttling-limits |
| life of a soft-deleted object | 30 days | directory, deleted items |
| life of a provisioning log entry | 30 days | concept-provisioning-logs |
| life of a subscription | 41,760 minutes | subscription |
| subscriptions of an app in a tenant | 100; above 403 | change-notifications |
| answer to a validation | 10 s | change-notifications-delivery |
| answer to a notification | 3 s; again for 4 h | change-notifications-delivery |
| `clientState` | 128 characters | subscription |

[1] Behaviour `refuse_advanced_expand`. [2] `ConsistencyLevel: eventual` on every page.
[3] Of a tenant with fewer than 50, up to 500, and more users. `docs` is the repository
microsoftgraph/microsoft-graph-docs.
"""

from datetime import timedelta

DEFAULT_PAGE = 100
LARGEST_PAGE = 999
LARGEST_EXPANDED_PAGE = 100
"""Objects on a page of a list with `$expand`; a larger `$top` is cut, not refused."""
EXPANDED_MEMBERS = 20
"""`$expand=members` gives no more than 20 and no next link."""
MOST_OR_CLAUSES = 15
"""Values after `in`, unless the query is advanced."""
MOST_BATCHED_REQUESTS = 20
MOST_IDS = 1000
MOST_CHECKED_GROUPS = 20
MOST_DELTA_FILTER_IDS = 50
DELTA_TOKEN_LIFE = timedelta(days=7)
LOG_RETENTION = timedelta(days=30)
"""How long a tenant with P1 or P2 keeps its provisioning log."""
REPORT_CALLS = 5
"""Calls to audit logs and provision on demand in `RESOURCE_WINDOW_S`."""
RESOURCE_WINDOW_S = 10.0
SUBSCRIPTION_LIFE = timedelta(minutes=41_760)
MOST_SUBSCRIPTIONS = 100
"""Of one application in one tenant."""
CLIENT_STATE_LENGTH = 128
VALIDATION_TIMEOUT_S = 10.0
NOTIFICATION_TIMEOUT_S = 3.0
NOTIFICATION_RETRY_LIFE = timedelta(hours=4)


def resource_quota(people: int) -> int:
    """Return the resource units per 10 s of a tenant with so many users."""
    return 3500 if people < 50 else 5000 if people <= 500 else 8000
