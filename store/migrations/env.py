"""Run the migrations on the connection that `store.migrations.upgrade` passes."""

from __future__ import annotations

from typing import Literal

from alembic import context
from sqlmodel import AutoString

from store.tables import Base
from store.tables.base import Document, Sequence, UtcDateTime


def _render(type_: str, obj: object, _autogen: object) -> str | Literal[False]:
    """Write our column types by name into new migration files."""
    if type_ == "type" and isinstance(obj, Document | Sequence | UtcDateTime):
        return f"{type(obj).__name__}()"
    return "sa.String()" if type_ == "type" and isinstance(obj, AutoString) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_item=_render,
    render_as_batch=False,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
