"""A body that each operation of the admin API takes, and how those refuse what is another tenant's."""

from __future__ import annotations

BODIES: dict[str, object] = {
    "add_result": {"title": "Reading", "score": 97},
    "erase_history": {"reason": "Art. 17"},
    "change_connection": {"interval_minutes": 7},
    "change_mapping": {"set": {"userName": "mail"}},
    "mark_user": {"protected": True},
    "create_token": {"name": "k"},
    "provision": {"subjects": ["ann"]},
    "create_connection": {"tenant": "TENANT", "name": "x"},
    "approve_plan": {"checksum": "0"},
    "reject_plan": {"checksum": "0"},
    "restrict_token": {"allowed_addresses": []},
    "create_tenant": {"name": "New"},
    "create_webhook": {"tenant": "TENANT", "url": "https://app.invalid/hook"},
    "invite_operator": {"name": "ada"},
    "set_sign_in_provider": {"issuer": "https://id.example", "client_id": "c", "client_secret": "s"},
    "link_person": {"subject": "ann-there"},
    "set_event_stream_status": {"status": "paused"},
    "acknowledge_events": {"through": "ev1.all.0"},
    "register_app_key": {"kind": "app_key", "reference": "key"},
    "replay_webhook": {"after": "ev1.all.0"},
}

FOREIGN_WRITES = {
    **dict.fromkeys(("create_tenant", "delete_tenant", "invite_operator", "remove_operator"), 403),
    "acknowledge_events": 400,
    "create_event_stream": 201,
}
"""Refused before anything is looked for; a cursor of another feed is none; a stream is of the caller's tenant."""
