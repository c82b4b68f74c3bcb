"""What is new in a company is kept by `--state FILE`, and older files are still read."""

from pathlib import Path

import orjson

from simulator.directory import Directory
from simulator.registration import Registration
from simulator.state_file import load_state, save_state


def company() -> tuple[Directory, str, str]:
    directory = Directory(5)
    user = directory.create_user({"userPrincipalName": "ann@x.example", "accountEnabled": None}).id
    group = directory.create_group({"displayName": "Crew", "visibility": "HiddenMembership"}).id
    device = directory.create_other("device", {"displayName": "Laptop"}).id
    directory.add_member(group, user)
    directory.add_member(group, device)
    return directory, group, user


def test_devices_hidden_groups_and_null_states_are_kept(tmp_path: Path) -> None:
    """A restart changes nothing of what Graph shows."""
    directory, group, user = company()
    save_state(tmp_path / "company.json", directory, Registration(directory.client_id, {}))
    loaded, _ = load_state(tmp_path / "company.json")
    assert loaded.others == directory.others
    assert loaded.live_members(group) == directory.live_members(group)
    assert loaded.groups[group].properties["visibility"] == "HiddenMembership"
    assert not loaded.users[user].state_known


def test_a_file_from_before_there_were_devices_is_read(tmp_path: Path) -> None:
    """A missing `others` is none."""
    directory, *_ = company()
    path = tmp_path / "company.json"
    save_state(path, directory, Registration(directory.client_id, {}))
    document = orjson.loads(path.read_bytes())
    del document["directory"]["others"]
    path.write_bytes(orjson.dumps(document))
    loaded, _ = load_state(path)
    assert loaded.others == {}
    assert loaded.users == directory.users
