"""``adserver policy``: validate the rules of relevance, put them in force, look back, go back."""

from pathlib import Path

import click

from adserver.catalogue.diff import diff_policies
from adserver.catalogue.policy import parse_policy
from adserver.catalogue.versions import Versions
from adserver.cli.session import Session, pass_session
from adserver.cli.versions import open_here, resolve_sides, tell_change, tell_differences, tell_log
from adserver.domain.policy import Policy

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def command() -> None:
    """Validate and publish the rules of relevance.

    Example: adserver policy publish policy.toml
    """


@command.command()
@click.argument("file", type=FILE)
@pass_session
def validate(session: Session, file: Path) -> None:
    """Name everything that is wrong with a policy.

    Example: adserver policy validate policy.toml
    """
    policy = parse_policy(file.read_bytes())
    # A file can be judged without a data directory, and must not make one.
    known = session.settings.data.is_dir()
    unmatched = _unmatched(open_here(session), policy) if known else []
    session.show({"valid": True, "unmatched": unmatched}, f"{file} is valid.")
    _warn(session, unmatched)


@command.command()
@click.argument("file", type=FILE)
@pass_session
def publish(session: Session, file: Path) -> None:
    """Put a policy in force.

    Running servers take it up within a second. Nothing changes unless all of it is valid.

    Example: adserver policy publish policy.toml
    """
    versions = open_here(session)
    change = versions.publish_policy(file.read_bytes())
    unmatched = _unmatched(versions, versions.read_policy(change.version))
    tell_change(session, change, {"unmatched": unmatched})
    _warn(session, unmatched)


@command.command()
@click.argument("sides", nargs=-1, metavar="[FILE|VERSION]...")
@pass_session
def diff(session: Session, sides: tuple[str, ...]) -> None:
    """Compare two policies, files or versions.

    One FILE or VERSION is compared with the policy in force; none compares the policy in force with
    the one before it. The version `builtin` holds the defaults.

    Example: adserver policy diff policy.toml
    """
    versions = open_here(session)
    before, after = resolve_sides(versions, "policy", sides)
    differences = diff_policies(_read(versions, before), _read(versions, after))
    tell_differences(session, before, after, differences)


@command.command()
@pass_session
def rollback(session: Session) -> None:
    """Put the former policy back in force.

    Example: adserver policy rollback
    """
    tell_change(session, open_here(session).rollback("policy"))


@command.command()
@pass_session
def log(session: Session) -> None:
    """List what was published, when and by whom.

    Example: adserver policy log
    """
    tell_log(session, open_here(session), "policy")


def _read(versions: Versions, side: str) -> Policy:
    path = Path(side)
    return parse_policy(path.read_bytes()) if path.is_file() else versions.read_policy(side)


def _unmatched(versions: Versions, policy: Policy) -> list[str]:
    """Return the thresholds that name nothing in the catalogue in force, if there is one."""
    columns = versions.load_snapshot()
    if columns is None:
        return []
    ids = columns.texts["campaign"]
    campaigns = {ids[index].decode() for index in range(len(ids))}
    thresholds = policy.threshold
    return [
        *(f"threshold.placements.{name}" for name in thresholds.placements.keys()
          - columns.meta.placements.keys()),
        *(f"threshold.campaigns.{name}" for name in thresholds.campaigns.keys() - campaigns),
    ]  # fmt: skip


def _warn(session: Session, unmatched: list[str]) -> None:
    for path in unmatched:
        session.say(f"note: {path} names nothing in the catalogue in force")
