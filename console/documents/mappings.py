"""Documents of a connection's attribute mapping and of its check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from console.documents.values import JsonDocument, iso
from store.records import Connection, JsonValue
from store.records.connections import MappingVersion
from worker.reconcile.mapping.fit import MappingFit


def mapping(
    connection: Connection,
    current: MappingVersion,
    lines: Mapping[str, str],
    versions: Iterable[MappingVersion],
    ended_plans: int,
) -> JsonDocument:
    """Return the document of the mapping in use, with the versions before it, and how
    many plans ended by a change that was just made.
    """
    earlier: list[JsonValue] = [_version(each) for each in versions]
    return {
        "connection_id": connection.id,
        **_version(current),
        "confirmed": connection.policy.mapping_confirmed,
        "mapping": dict(lines),
        "versions": earlier,
        "ended_plans": ended_plans,
    }


def _version(record: MappingVersion) -> JsonDocument:
    return {
        "version": record.version,
        "origin": record.origin,
        "by": record.by,
        "at": iso(record.at),
    }


def check(connection: Connection, fit: MappingFit) -> JsonDocument:
    """Return the document of a mapping check: the numbers, and a verdict a line."""
    lines: list[JsonValue] = [
        {
            "path": line.path,
            "source": line.source,
            "verdict": line.verdict,
            "compared": line.compared,
            "agreeing": line.agreeing,
            "suggestion": line.suggestion.source if line.suggestion else None,
            "sentence": line.sentence,
        }
        for line in fit.attributes
    ]
    return {
        "connection_id": connection.id,
        "names_fit": fit.names_fit,
        "confirmed": connection.policy.mapping_confirmed,
        "joined": fit.joined,
        "unmatched": fit.unmatched,
        "contradictory": fit.contradictory,
        "attributes": lines,
    }
