"""`leaver connection mapping`: what Entra maps to what, and whether it is true."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.options import FLAG, AsJson, ConnectionReference
from console.cli.output import View, show
from console.errors import WrongUse

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

app = typer.Typer(
    no_args_is_help=True,
    help="The attribute mapping of a connection, which has to be the one on Entra's mapping page.",
)

FORM = '{"userName": "userPrincipalName", "name.formatted": "Join(\\" \\", [givenName], [surname])"}'


@app.command("show")
def show_(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """Show the mapping, its version, and where it comes from."""
    from console.admin.connections import mapping
    from console.cli.session import run
    from console.cli.views import mappings as views

    async def work(services: Services, actor: Actor) -> View:
        return views.shown(await mapping.show(services, actor, connection))

    show(run(work), as_json=as_json)


@app.command("set")
def set_(
    connection: ConnectionReference,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="ATTRIBUTE=SOURCE",
            help="One line: a Graph property or an expression, as on Entra's mapping page. May be repeated.",
        ),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="ATTRIBUTE", help="Take a line away. May be repeated.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help=f"A JSON file with all lines instead: {FORM}.")] = None,
    default: Annotated[
        bool, typer.Option("--default", metavar=FLAG, help="Back to Entra's default mapping.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change the mapping. Each change is a version; the check begins anew.

    A line that makes no sense is refused with the place of the fault.
    """
    from console.admin.connections import mapping
    from console.cli.session import run
    from console.cli.views import mappings as views

    if sum((bool(set_ or remove), file is not None, default)) > 1:
        raise WrongUse(
            "--set or --remove, --file, --default", "each says all of the mapping", "Give one of them"
        )
    if not (set_ or remove or file or default):
        raise WrongUse(
            "nothing to change", "no option was given", "See: leaver connection mapping set --help"
        )
    changes = mapping.MappingChanges(
        set=_pairs(set_ or ()), remove=remove or (), whole=_from_file(file), to_default=default
    )

    async def work(services: Services, actor: Actor) -> View:
        return views.shown(await mapping.change(services, actor, connection, changes))

    show(run(work), as_json=as_json)


@app.command("check")
def check(
    connection: ConnectionReference,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            metavar=FLAG,
            help="Say that the mapping fits; kept until it changes. In the audit log.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Compare the accounts that the push wrote with the people in Entra.

    A verdict for each attribute, and the command that takes what would fit. Exit status
    3: userName or externalId do not fit, or too few accounts show it.
    """
    from console.admin.connections import mapping_check
    from console.cli.session import run
    from console.cli.views import mappings as views

    found = run(lambda services, actor: mapping_check.check(services, actor, connection, accept=accept))
    show(views.checked(found), as_json=as_json)
    return views.exit_code(found)


@app.command("import")
def import_(connection: ConnectionReference, as_json: AsJson = False) -> None:
    """Take over the mapping of the application's provisioning job in Entra.

    It takes the permission Synchronization.Read.All, with admin consent.
    """
    from console.admin.connections import mapping
    from console.cli.session import run
    from console.cli.views import mappings as views

    async def work(services: Services, actor: Actor) -> View:
        return views.imported(await mapping.import_from_entra(services, actor, connection))

    show(run(work), as_json=as_json)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        path, equals, source = text.partition("=")
        if not equals or not path.strip() or not source.strip():
            raise WrongUse(
                f"--set {text!r}", "wanted is ATTRIBUTE=SOURCE", "For example: --set userName=mail"
            )
        found[path.strip()] = source.strip()
    return found


def _from_file(file: Path | None) -> dict[str, str] | None:
    if file is None:
        return None
    try:
        lines: Any = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        why = f"the file cannot be read ({error.strerror})"
        raise WrongUse(f"--file {file}", why, "Check path and permissions") from None
    except ValueError as error:  # not UTF-8, or not JSON
        raise WrongUse(f"--file {file}", f"this is not JSON ({error})", f"Wanted is {FORM}") from None
    if not isinstance(lines, dict) or not all(isinstance(source, str) for source in lines.values()):
        raise WrongUse(f"--file {file}", "wanted is one object of texts", f"For example {FORM}")
    return {str(path): source for path, source in lines.items()}
