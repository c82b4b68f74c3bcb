"""Limits that Microsoft documents for Graph, as far as the simulator enforces them.

OpenAPI descriptions show none of them, so a client that was only generated meets them
in production first.

| limit | value | source |
|---|---|---|
| page of a directory list, default | 100 | user-list, group-list-members |
| largest `$top`; above it 400 | 999 | user-list, group-list-members |
| page of a list with `$expand`, whatever `$top` says | 100 | microsoft-graph-docs#21506, |
| | | #21516; query-parameters, *expand* |
| objects of one expanded relation, without a next link | 20 | known issues 13635 |
| relations in one `$expand` of a user or group | 1 | microsoft-graph-docs#96 |
| `$expand` in an advanced query | refused | aad-advanced-queries; behaviour |
| | | `refuse_advanced_expand` |
| `ne`, `not`, `endsWith`, casts, `$count`, `$search` | only with `ConsistencyLevel: eventual` |
| | on every page | aad-advanced-queries, paging |
| `@odata.count` | first page only | paging |
| ids in the filter of a delta query | 50 | delta-query-users |
| life of a delta token of directory objects | 7 days | delta-query-overview |
| requests in a `$batch` | 20 | json-batching |
| ids in `getByIds` | 1,000 | directoryobject-getbyids |
| group ids in `checkMemberGroups` | 20 | directoryobject-checkmembergroups |
| resource units of an app in a tenant, per 10 s | 3,500 / 5,000 / 8,000 | |
| | with < 50 / <= 500 / > 500 users | throttling-limits |
| requests to audit logs or provision on demand, per 10 s | 5 | throttling-limits |
| life of a soft-deleted object | 30 days | directory, deleted items |
| life of the provisioning log (P1 or P2) | 30 days | audit log retention |
| life of a subscription to users or groups | 41,760 minutes | subscription resource |
| subscriptions of a tenant / of an app in a tenant | 1,000 / 100; above 403 | |
| | | change-notifications-overview |
| answer to the validation of a notification URL | 10 s | change-notifications-delivery |
| answer to a change notification | 3 s, tried again for 4 h | |
| | | change-notifications-delivery |
| `clientState` | 128 characters | subscription resource |
"""

from datetime import timedelta

DEFAULT_PAGE = 100
LARGEST_PAGE = 999
LARGEST_EXPANDED_PAGE = 100
"""Objects on a page of a list with `$expand`; a larger `$top` is cut, not refused."""
EXPANDED_MEMBERS = 20
"""`$expand=members` gives no more than 20 and no next link."""
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
