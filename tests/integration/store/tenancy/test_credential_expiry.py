"""How credentials stand, and how many of them somebody has to renew."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store.database import Database
from store.records import Connection
from store.tenancy import connections, credential_expiry
from store.tenancy.credential_expiry import CredentialState, credential_state

NOW = datetime(2026, 5, 11, 8, 0, tzinfo=UTC)
ENDS = [
    (timedelta(days=31), CredentialState.VALID),
    (timedelta(days=30), CredentialState.ENDS_WITHIN_30_DAYS),
    (timedelta(days=7), CredentialState.ENDS_WITHIN_7_DAYS),
    (timedelta(hours=24), CredentialState.ENDS_WITHIN_1_DAY),
    (timedelta(seconds=1), CredentialState.ENDS_WITHIN_1_DAY),
    (timedelta(0), CredentialState.EXPIRED),
    (timedelta(days=-400), CredentialState.EXPIRED),
]


@pytest.mark.parametrize(("left", "state"), ENDS)
async def test_an_end_is_warned_of_30_7_and_1_days_ahead(
    contoso: Connection, left: timedelta, state: CredentialState
) -> None:
    """Issue 3: "Expiry known, warned of 30, 7 and 1 days ahead"; expired is a named state."""
    known = replace(contoso, has_credential=True, credential_expires_at=NOW + left)
    assert credential_state(known, NOW) is state


async def test_what_has_no_known_end_is_valid_and_what_is_not_there_is_missing(contoso: Connection) -> None:
    assert credential_state(contoso, NOW) is CredentialState.MISSING
    assert credential_state(replace(contoso, has_credential=True), NOW) is CredentialState.VALID


async def test_ends_are_counted_over_every_tenant_but_not_of_paused_connections(
    database: Database, contoso: Connection
) -> None:
    async def work(conn):  # type: ignore[no-untyped-def]
        for number, (left, _) in enumerate(ENDS * 2):
            made = await connections.create(
                conn,
                contoso.tenant_id,
                f"c{number}",
                connections.ConnectionSettings(
                    sealed_credential="sealed",
                    credential_expires_at=NOW + left,
                ),
            )
            if number >= len(ENDS):
                await connections.pause(conn, made.tenant_id, made.id, "a test")

    await database.write(work)
    async with database.reading() as conn:
        counted = await credential_expiry.count_warnings(conn, NOW)
    assert counted == {
        CredentialState.EXPIRED: 2,
        CredentialState.ENDS_WITHIN_1_DAY: 2,
        CredentialState.ENDS_WITHIN_7_DAYS: 1,
        CredentialState.ENDS_WITHIN_30_DAYS: 1,
    }
