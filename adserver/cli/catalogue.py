"""``adserver catalogue``: validate campaigns, put them in force, look back, go back."""

from pathlib import Path
from typing import Any

import click

from adserver.catalogue.diff import diff_catalogues
from adserver.catalogue.parse import parse_catalogue, read_document
from adserver.catalogue.vectors import Document
from adserver.catalogue.versions import Versions
from adserver.cli.session import Session, pass_session
from adserver.cli.versions import open_here, resolve_sides, tell_change, tell_differences, tell_log
from adserver.domain.campaign import Catalogue
from adserver.domain.errors import Broken

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def command() -> None:
    """Validate and publish campaigns.

    Example: adserver catalogue publish campaigns.json
    """


@command.command()
@click.argument("file", type=FILE)
@pass_session
def validate(session: Session, file: Path) -> None:
    """Name everything that is wrong with a catalogue.

    Example: adserver catalogue validate campaigns.json
    """
    counts = _counts(parse_catalogue(file.read_bytes(), file.parent))
    session.show({"valid": True, **counts}, f"{file} is valid: {_sentence(counts)}.")


@command.command()
@click.argument("file", type=FILE)
@pass_session
def publish(session: Session, file: Path) -> None:
    """Put a catalogue in force.

    Running servers take it up within a second. Nothing changes unless all of it is valid.

    Example: adserver catalogue publish campaigns.json
    """
    versions = open_here(session)
    change = versions.publish_catalogue(file.read_bytes(), file.parent)
    columns = versions.load_snapshot()
    if columns is None:
        raise Broken("the catalogue just published has no snapshot")
    counts = {"campaigns": columns.campaign_count, "variants": columns.variant_count}
    tell_change(session, change, counts, f"It holds {_sentence(counts)}.")


@command.command()
@click.argument("sides", nargs=-1, metavar="[FILE|VERSION]...")
@pass_session
def diff(session: Session, sides: tuple[str, ...]) -> None:
    """Compare two catalogues, files or versions.

    One FILE or VERSION is compared with the catalogue in force; none compares the catalogue in
    force with the one before it.

    Example: adserver catalogue diff campaigns.json
    """
    versions = open_here(session)
    before, after = resolve_sides(versions, "catalogue", sides)
    differences = diff_catalogues(_read(versions, before), _read(versions, after))
    tell_differences(session, before, after, differences)


@command.command()
@pass_session
def rollback(session: Session) -> None:
    """Put the former catalogue back in force.

    Example: adserver catalogue rollback
    """
    tell_change(session, open_here(session).rollback("catalogue"))


@command.command()
@pass_session
def log(session: Session) -> None:
    """List what was published, when and by whom.

    Example: adserver catalogue log
    """
    tell_log(session, open_here(session), "catalogue")


def _read(versions: Versions, side: str) -> Document:
    path = Path(side)
    if path.is_file():
        return read_document(path.read_bytes(), path.parent)
    return versions.read_document(side)


def _counts(catalogue: Catalogue) -> dict[str, Any]:
    creatives = [creative for campaign in catalogue.campaigns for creative in campaign.creatives]
    return {
        "advertisers": len(catalogue.advertisers),
        "placements": len(catalogue.placements),
        "campaigns": len(catalogue.campaigns),
        "creatives": len(creatives),
        "variants": sum(len(creative.variants) for creative in creatives),
    }


def _sentence(counts: dict[str, Any]) -> str:
    return ", ".join(
        f"{count:,} {name if count != 1 else name.removesuffix('s')}"
        for name, count in counts.items()
    )
