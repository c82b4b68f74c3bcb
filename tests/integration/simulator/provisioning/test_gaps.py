"""How leavers slip through in real life: the service's own gaps, and those that have to be armed."""

from dataclasses import replace
from typing import Any

import pytest

from simulator.provisioning import Dialect, Gap, NotPossible
from simulator.provisioning.mapping import DEFAULT_USER_MAPPING, edit
from simulator.provisioning.scope import Clause
from tests.builders.simulator.provisioning_company import ProvisioningCompany, person, provisioning_company

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

# --- gaps that are simply how the service works ---


async def test_unassigned_and_later_deleted_is_never_told() -> None:
    """§17.1: unassigned first, deleted later: no DELETE, the account lingers inactive."""
    async with provisioning_company() as at:
        at.directory.unassign(at.ann)
        await at.cycle()
        at.directory.soft_delete_user(at.ann)
        assert await at.writes() == []
        at.directory.purge_user(at.ann)
        assert await at.writes() == []
        assert at.target.user("ann@fabrikam-demo.example")["active"] is False


async def test_unassigned_and_deleted_in_one_gap_is_not_managed_either() -> None:
    """§17.1: the object is no longer managed once it is unassigned."""
    async with provisioning_company() as at:
        at.directory.unassign(at.ann)
        at.directory.soft_delete_user(at.ann)
        assert [path for _, path, _ in await at.writes()] == ["/Users/ann"]
        at.directory.purge_user(at.ann)
        assert await at.writes() == []


async def test_a_filtered_out_person_joins_no_group() -> None:
    """HOW: members out of scope are not sent."""
    inside = ((Clause("jobTitle", "EQUALS", "Rigger"),),)
    async with provisioning_company(scoping_filters=inside) as at:
        at.directory.change_user(at.ann, {"jobTitle": "Bosun"})
        await at.cycle()
        at.directory.add_member(at.crew, at.ann)
        assert await at.writes() == []
        assert at.members() == {"ben", "cleo"}


async def test_soft_and_hard_deleted_between_two_cycles_is_never_told() -> None:
    """§17.3: soft + hard delete between two cycles: nothing."""
    async with provisioning_company() as at:
        at.directory.purge_user(at.ann)
        at.directory.purge_user(at.ben)
        assert await at.writes() == []
        assert at.active() == {"ann", "ben", "cleo"}
        assert at.members() == {"ben", "cleo"}


async def test_a_restart_loses_pending_removals() -> None:
    """§17.5: removals that happened before a restart are not in the new initial set."""
    async with provisioning_company() as at:
        at.directory.unassign(at.ann)
        at.directory.soft_delete_user(at.ben)
        at.directory.remove_member(at.crew, at.cleo)
        await at.service.restart()
        assert await at.writes() == []
        assert at.active() == {"ann", "ben", "cleo"}
        assert at.members() == {"ben", "cleo"}


async def test_a_member_who_comes_into_scope_later_is_not_linked_until_a_restart() -> None:
    """§17.17, KNOWN: a manager or member that comes into scope later is not linked until restart."""
    async with provisioning_company(first_cycle=False) as at:
        at.directory.change_user(at.cleo, {"accountEnabled": False})
        at.directory.set_manager(at.ann, at.dan)
        await at.cycle()
        at.directory.change_user(at.cleo, {"accountEnabled": True})
        at.directory.assign(at.dan)
        assert [method for method, _, _ in await at.writes()] == ["POST", "POST"]
        assert at.members() == {"ben"}
        await at.service.restart()
        assert {path for _, path, _ in await at.writes()} == {"/Groups/crew", "/Users/ann"}
        assert at.members() == {"ben", "cleo"}


async def test_an_app_side_deletion_leaves_a_dead_anchor() -> None:
    """§6, §17.11: the cached id is not matched anew; 404 is InvalidAnchor; only a full restart heals."""
    async with provisioning_company() as at:
        del at.target.users[at.target_id(at.ann)]
        at.directory.change_user(at.ann, {"jobTitle": "Bosun"})
        await at.cycle()
        error = at.log(source_id=at.ann)[0]["provisioningStatusInfo"]["errorInformation"]
        assert error["errorCode"] == "InvalidAnchor"
        await at.service.restart()
        assert await at.writes() == []
        await at.service.restart(full=True)
        await at.cycle()
        assert at.active() == {"ann", "ben", "cleo"}


async def test_deleting_the_object_connection_heals_one_user_but_only_while_paused() -> None:
    """OBJCONN: GET/DELETE of an object connection; the job must be paused, else 409."""
    async with provisioning_company() as at:
        at.service.arm("dead_anchor", at.ann)
        with pytest.raises(NotPossible, match="pause"):
            at.service.drop_connection(at.ann)
        await at.service.stop()
        at.service.drop_connection(at.ann)
        await at.service.start()
        at.directory.change_user(at.ann, {"jobTitle": "Bosun"})
        await at.cycle()
        assert at.target.user("ann@fabrikam-demo.example")["title"] == "Bosun"


async def test_without_the_active_mapping_nobody_is_ever_disabled() -> None:
    """§10: without it unassign, disable and soft delete send nothing; DELETE only at purge."""
    async with provisioning_company(user_mapping=edit(DEFAULT_USER_MAPPING, {"active": None})) as at:
        at.directory.unassign(at.ann)
        at.directory.change_user(at.ben, {"accountEnabled": False})
        at.directory.soft_delete_user(at.cleo)
        assert await at.writes() == []
        at.directory.purge_user(at.cleo)
        assert [method for method, _, _ in await at.writes()] == ["DELETE"]


async def test_the_skip_flag_suppresses_out_of_scope_disables_only() -> None:
    """§17.16, SKIP: SkipOutOfScopeDeletions."""
    async with provisioning_company(skip_out_of_scope_deletions=True) as at:
        at.directory.unassign(at.ann)
        at.directory.change_user(at.ben, {"accountEnabled": False})
        assert [path for _, path, _ in await at.writes()] == ["/Users/ben"]
        assert "ann" in at.active()


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ("can_create", ["/Users/ann", "/Users/ben"]),
        ("can_update", ["/Users", "/Users/ben"]),
        ("can_delete", ["/Users", "/Users/ann"]),
    ],
)
async def test_an_unticked_target_action_is_suppressed(off: str, expected: list[str]) -> None:
    """MAP: Create, Update and Delete can each be un-ticked."""
    async with provisioning_company() as at:
        at.directory.soft_delete_user(at.ben)
        await at.cycle()
        untick: dict[str, Any] = {"can_create": True, "can_update": True, "can_delete": True, off: False}
        at.service.configure(settings=replace(at.service.job.settings, **untick))
        at.directory.purge_user(at.ben)
        at.directory.change_user(at.ann, {"jobTitle": "Bosun"})
        at.directory.assign(at.dan)
        paths = {at.target_id(i): name for i, name in ((at.ann, "ann"), (at.ben, "ben"))}
        await at.cycle()
        written = [seen.path for seen in at.target.seen if seen.method != "GET"]
        named = ["/".join(paths.get(part, part) for part in path.split("/")) for path in written]
        assert sorted(named) == expected


async def test_an_app_known_to_lack_soft_delete_gets_deletes() -> None:
    """§10, third column: DELETE on unassign, disable and soft delete; a comer-back is matched or created."""
    async with provisioning_company(delete_on_disable=True) as at:
        at.directory.unassign(at.ann)
        at.directory.change_user(at.ben, {"accountEnabled": False})
        at.directory.soft_delete_user(at.cleo)
        writes = [(seen.method, seen.path.split("/")[1]) for seen in await at.cycle() if seen.method != "GET"]
        assert writes == [("DELETE", "Users")] * 3
        at.directory.assign(at.ann)
        assert [method for method, _, _ in await at.writes()] == ["POST"]


# --- gaps that are armed ---


async def test_a_dropped_unassign_leaves_an_active_account() -> None:
    """§19.7: drop unassign event; others are noticed all the same."""
    async with provisioning_company() as at:
        at.service.arm(Gap.DROP_UNASSIGN, at.ann, times=1)
        at.directory.assign(at.dan)
        await at.cycle()
        at.directory.unassign(at.ann)
        at.directory.unassign(at.dan)
        assert [path for _, path, _ in await at.writes()] == ["/Users/dan"]
        assert await at.writes() == []
        assert "ann" in at.active()


async def test_a_dropped_unassign_of_a_group_leaves_all_its_people() -> None:
    """§19.7."""
    async with provisioning_company() as at:
        at.service.arm(Gap.DROP_UNASSIGN, at.crew)
        at.directory.unassign(at.crew)
        assert await at.writes() == []
        assert at.active() == {"ann", "ben", "cleo"}


async def test_a_dropped_change_leaves_a_disabled_person_active() -> None:
    """KNOWN: certain provisioning events might be dropped."""
    async with provisioning_company() as at:
        at.service.arm(Gap.DROP_CHANGE, at.ann)
        at.directory.change_user(at.ann, {"accountEnabled": False})
        at.directory.change_user(at.ben, {"accountEnabled": False})
        assert [path for _, path, _ in await at.writes()] == ["/Users/ben"]


async def test_leaving_a_group_is_skipped_as_not_effectively_entitled() -> None:
    """§17.2: removed from group, logged as skipped / NotEffectivelyEntitled, and nothing is sent, ever."""
    async with provisioning_company() as at:
        at.service.arm(Gap.NOT_EFFECTIVELY_ENTITLED, at.cleo)
        at.directory.remove_member(at.crew, at.cleo)
        assert await at.writes() == []
        assert at.active() == {"ann", "ben", "cleo"}
        assert at.members() == {"ben", "cleo"}
        status = at.log(source_id=at.cleo)[0]["provisioningStatusInfo"]
        assert status["status"] == "skipped"
        assert status["errorInformation"]["errorCode"] == "NotEffectivelyEntitled"
        at.directory.change_user(at.cleo, {"jobTitle": "Bosun"})
        assert await at.writes() == []


async def test_some_who_leave_groups_are_skipped_at_random_but_repeatably() -> None:
    """§17.2: the switch as a probability."""

    async def survivors() -> set[str]:
        async with provisioning_company() as at:
            names = [f"p{number}" for number in range(20)]
            ids = [person(at.directory, name) for name in names]
            for user_id in ids:
                at.directory.add_member(at.crew, user_id)
            await at.cycle()
            at.service.arm(Gap.NOT_EFFECTIVELY_ENTITLED, probability=0.5)
            for user_id in ids:
                at.directory.remove_member(at.crew, user_id)
            await at.cycle()
            return at.active() & set(names)

    first = await survivors()
    assert 3 <= len(first) <= 17
    assert first == await survivors()


async def test_a_member_removal_waits_until_something_else_about_the_group_changes() -> None:
    """§17.4: member removal produces no PATCH until something else about the group changes."""
    async with provisioning_company() as at:
        at.service.arm(Gap.DROP_MEMBER_REMOVAL, at.cleo)
        at.directory.assign(at.cleo)
        at.directory.remove_member(at.crew, at.cleo)
        assert await at.writes() == []
        assert await at.writes() == []
        assert at.members() == {"ben", "cleo"}
        at.directory.change_group(at.crew, {"description": "rope people"})
        assert [path for _, path, _ in await at.writes()] == ["/Groups/crew"]
        assert at.members() == {"ben"}


@pytest.mark.parametrize("gap", [Gap.FROZEN_JOB, Gap.SILENCE])
async def test_a_silent_job_sends_nothing_and_looks_well(gap: Gap) -> None:
    """§17.18: 24 h of silence mistaken for health."""
    async with provisioning_company() as at:
        at.service.arm(gap)
        at.directory.unassign(at.ann)
        await at.cycle()
        assert at.target.seen == []
        assert at.service.job_representation()["status"]["code"] == "Active"
        at.directory.advance(25 * 3600)
        await at.cycle()
        assert ("ann" in at.active()) is (gap is Gap.FROZEN_JOB)
        at.service.disarm(gap)
        await at.cycle()
        assert "ann" not in at.active()


async def test_a_new_assignment_can_become_visible_minutes_late() -> None:
    """§19.7: stale read."""
    async with provisioning_company() as at:
        at.service.arm(Gap.STALE_READ, minutes=30)
        at.directory.assign(at.dan)
        assert await at.writes() == []
        at.directory.advance(29 * 60)
        assert await at.writes() == []
        at.directory.advance(120)
        assert [method for method, _, _ in await at.writes()] == ["POST"]


async def test_a_patch_can_be_sent_twice() -> None:
    """§19.7: duplicate PATCH; adding twice is a success."""
    async with provisioning_company() as at:
        at.service.arm(Gap.DUPLICATE_PATCH)
        at.directory.add_member(at.crew, at.ann)
        writes = await at.writes()
        assert len(writes) == 2
        assert writes[0] == writes[1]
        assert at.members() == {"ann", "ben", "cleo"}


async def test_parallel_membership_patches_can_go_out_of_order() -> None:
    """§19.7: out-of-order parallel PATCH: another order, the same end."""

    async def order(*gaps: Gap) -> list[str]:
        async with provisioning_company(parallelism=1) as at:
            for gap in gaps:
                at.service.arm(gap)
            ids = [person(at.directory, f"p{number}") for number in range(12)]
            for user_id in ids:
                at.directory.add_member(at.crew, user_id)
            await at.cycle()
            assert len(at.members()) == 14
            names = {at.target_id(user_id): user_id for user_id in ids}
            patches = [seen.body["Operations"][0] for seen in at.target.sent("PATCH", "/Groups")]
            return [names[operation["value"][0]["value"]] for operation in patches]

    straight, shuffled = await order(), await order(Gap.OUT_OF_ORDER)
    assert straight != shuffled
    assert sorted(straight) == sorted(shuffled)


@pytest.mark.parametrize(
    ("gap", "dialect", "value"),
    [
        (Gap.STRING_BOOLEANS, Dialect.RFC, "False"),
        (Gap.BOOLEAN_ACTIVE, Dialect.DEFAULT, False),
    ],
)
async def test_active_can_come_in_the_other_spelling(gap: Gap, dialect: Dialect, value: object) -> None:
    """S29 and §7: accept "False", "false" and false in either dialect."""
    async with provisioning_company(dialect) as at:
        at.service.arm(gap)
        at.directory.unassign(at.ann)
        [(_, _, body)] = await at.writes()
        assert body["Operations"][0]["value"] is value or body["Operations"][0]["value"] == value
        assert type(body["Operations"][0]["value"]) is type(value)


async def test_string_booleans_reach_creates_and_merged_changes_too() -> None:
    """§15: the web validator sends "True" strings for `active`."""
    async with provisioning_company(Dialect.RFC) as at:
        at.service.arm(Gap.STRING_BOOLEANS)
        at.directory.assign(at.dan)
        at.directory.change_user(at.ann, {"accountEnabled": False, "jobTitle": "Bosun"})
        bodies = {method: body for method, _, body in await at.writes()}
        assert bodies["POST"]["active"] == "True"
        assert bodies["PATCH"]["Operations"][0]["value"] == {"active": "False", "title": "Bosun"}


async def test_a_create_can_come_in_the_older_form() -> None:
    """S17: nulls, no `roles`, and a colon missing in the extension's URN."""
    async with provisioning_company() as at:
        at.service.arm(Gap.LEGACY_CREATE)
        at.directory.assign(at.dan)
        [(_, _, body)] = await at.writes()
        assert body["schemas"] == [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0User",
        ]
        nulls = {name for name, value in body.items() if value is None}
        assert nulls == {"addresses", "phoneNumbers", "preferredLanguage", "department", "manager"}
        assert "roles" not in body


async def test_a_manager_can_come_in_the_older_form() -> None:
    """S32: path `manager`, an array with one reference."""
    async with provisioning_company() as at:
        at.service.arm(Gap.LEGACY_MANAGER)
        at.directory.set_manager(at.ann, at.cleo)
        [(_, _, body)] = await at.writes()
        cleo = at.target_id(at.cleo)
        [operation] = body["Operations"]
        assert operation["path"] == "manager"
        assert operation["value"] == [{"$ref": f"{at.target.url}/Users/{cleo}", "value": cleo}]


async def test_removed_members_can_carry_a_null_ref() -> None:
    """S50."""
    async with provisioning_company(ref_in_remove=True) as at:
        cleo = at.target_id(at.cleo)
        at.directory.assign(at.cleo)
        at.directory.remove_member(at.crew, at.cleo)
        [(_, _, body)] = await at.writes()
        assert body["Operations"][0]["value"] == [{"$ref": None, "value": cleo}]


async def test_an_expired_secret_puts_the_job_into_quarantine() -> None:
    """§17.18: secret expired: 401, EncounteredQuarantineException; what waits is sent once it is renewed."""
    async with provisioning_company() as at:
        at.service.arm(Gap.SECRET_EXPIRED)
        at.directory.unassign(at.ann)
        await at.cycle()
        assert at.target.sent("PATCH") == []
        assert _quarantine(at) == "EncounteredQuarantineException"
        at.service.disarm()
        await at.cycle()
        assert "ann" not in at.active()
        assert _quarantine(at) is None


def _quarantine(at: ProvisioningCompany) -> str | None:
    quarantine = at.service.job_representation()["status"]["quarantine"]
    return quarantine and str(quarantine["reason"])
