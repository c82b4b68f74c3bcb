"""A company on disk and back."""

from pathlib import Path

import pytest

from simulator.directory import Directory
from simulator.registration import Registration
from simulator.seeding import seed_company
from simulator.state import directory_state
from simulator.state_file import load_state, save_state


def busy_company() -> Directory:
    directory = Directory(5)
    seed_company(directory, users=60, groups=10)
    people = list(directory.users)
    directory.change_user(people[0], {"jobTitle": "Director"})
    directory.soft_delete_user(people[1])
    directory.purge_user(people[2])
    directory.delete_group(next(g for g in directory.groups if directory.groups[g].restorable))
    directory.advance(3600)
    return directory


def test_company_goes_on_where_it_was(tmp_path: Path) -> None:
    """Everything that can be asked for is as it was: state, feed, recycle bin, clock, credentials."""
    directory = busy_company()
    registration = Registration(directory.client_id, {"sealed": directory.clock.now(), "other": None})
    save_state(tmp_path / "company.json", directory, registration)
    loaded, credentials = load_state(tmp_path / "company.json")
    assert directory_state(loaded) == directory_state(directory)
    assert loaded.changes_since(0) == directory.changes_since(0)
    assert loaded.deleted_groups == directory.deleted_groups
    assert loaded.groups_of(next(iter(loaded.users))) == directory.groups_of(next(iter(directory.users)))
    assert abs((loaded.clock.now() - directory.clock.now()).total_seconds()) < 60
    assert (credentials.secrets, credentials.roles) == (registration.secrets, registration.roles)


def test_new_objects_get_new_ids_after_loading(tmp_path: Path) -> None:
    """Ids go on where the seed was left; they never repeat."""
    directory = busy_company()
    save_state(tmp_path / "company.json", directory, Registration(directory.client_id, {}))
    loaded, _ = load_state(tmp_path / "company.json")
    created = [d.create_user({"userPrincipalName": f"new@{d.domain}"}) for d in (directory, loaded)]
    assert created[0].id == created[1].id
    assert created[1].id not in directory.deleted_users
    assert created[1].ordinal > max(user.ordinal for user in busy_company().users.values())


def test_foreign_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """A file of another kind is named, and what to do."""
    (tmp_path / "x.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match=r"x\.json is no state of this simulator"):
        load_state(tmp_path / "x.json")
