"""``adserver demo``: a learnt world and a running server, in one command."""

import json
import sys
import webbrowser
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from msgspec import Struct

from adserver.cli.progress import stages
from adserver.cli.session import Session, pass_session
from adserver.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adserver.learn.evaluate import Report
    from adserver.worlds.example import Example

EXAMPLES = "demo-examples.json"
NOTES = "demo.json"
"""What the first start learnt, kept so that a second start need not; written last."""
FETCH_S_MAX = 5.0
"""The page's player was fetched while the demo learnt; nobody waits longer for the rest."""
PAGE_WORKER = (sys.executable, "-m", "adserver.page")
POLICY = b'exploration = "inverse_gap"\n'
"""The demo explores: only what is tried with a known probability can be learnt from."""


class Notes(Struct, frozen=True):
    """What a demo directory holds."""

    world: str
    placement: str
    campaigns: int
    variants: int
    viewers: int
    report: list[str]
    categories: list[str]
    address: str
    """Where the catalogue says that the clips are."""
    catalogue: str | None
    """Version of the catalogue that says so."""
    format: Literal[2]
    """Of what the demo keeps beside the server's own files: since 2 it has a page."""


@click.command(
    help="""Load the demo data, learn from it, and serve decisions for its viewers.

    The first start learns and takes some seconds; later ones reuse what is there. Ctrl-C stops it.

    Example: adserver demo --port 8080
    """,
    short_help="Real demo data, a learnt model and a running server, in one command.",
)
@click.option("--world", type=click.Choice(["movielens", "synthetic"]), help="What to decide in.")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.")
@click.option("--workers", type=int, help="Worker processes.")
@click.option("--no-browser", is_flag=True, help="Do not open the page.")
@click.option(
    "--no-fetch", is_flag=True, help="Do not fetch Shaka Player; the browser's own will do."
)
@pass_session
def command(
    session: Session,
    world: str | None,
    port: int | None,
    workers: int | None,
    *,
    no_browser: bool,
    no_fetch: bool,
) -> None:
    """Prepare what is missing, then serve with the explanation open to this machine."""
    from adserver.page.player import fetch_aside  # noqa: PLC0415  (--help needs none of these)
    from adserver.page.scene import write_scene  # noqa: PLC0415
    from adserver.serve.sockets import free_port  # noqa: PLC0415
    from adserver.start import serve  # noqa: PLC0415
    from kernels.warm import helped  # noqa: PLC0415

    settings = session.settings_with(
        host="127.0.0.1",
        port=port,
        workers=workers,
        open_explain=True,
        openrtb_placement="trailer-preroll",
    )
    settings = replace(settings, port=free_port(settings.host, settings.port))
    fetching = None if no_fetch else fetch_aside(settings.data)
    with nullcontext() if (settings.data / NOTES).exists() else helped():
        notes = at_this_address(settings, _prepared(session, settings, world))
        examples = _examples(settings, notes)
    write_scene(settings.data, notes.world, notes.placement, notes.categories, examples)
    trouble = None if fetching is None else fetching.trouble(FETCH_S_MAX)

    def tell(running: Settings) -> None:
        data = {
            "ready": True,
            "url": running.base_url,
            "page": f"{running.base_url}/",
            "world": notes.world,
            "data": str(running.data),
            "examples": [_body(example, notes.placement) for example in examples],
        }
        text = _welcome(running, notes, examples, trouble)
        print(json.dumps(data) if session.as_json else text, flush=True)
        if not no_browser:
            webbrowser.open(f"{running.base_url}/")

    serve(settings, tell, PAGE_WORKER)


def _prepared(session: Session, settings: Settings, world: str | None) -> Notes:
    """Return the notes of a prepared directory, preparing it when it is not."""
    import msgspec  # noqa: PLC0415

    from adserver.domain.errors import InvalidInput, Problem  # noqa: PLC0415

    path = settings.data / NOTES
    if path.exists():
        notes = _read_notes(path)
        if world is None or notes.world == world:
            session.say(f"Reusing {settings.data} ({notes.world}).")
            return notes
        raise InvalidInput(
            f"{settings.data} holds the world {notes.world!r}",
            [Problem("--world", f"delete the directory or name another for {world!r}: --data DIR")],
        )
    if (settings.data / "current.json").exists():
        raise InvalidInput(
            f"{settings.data} holds data that is not the demo's",
            [Problem("--data", "name an empty directory; the demo overwrites nothing")],
        )
    notes = _prepare(session, settings, world or "movielens")
    path.write_bytes(msgspec.json.encode(notes))
    return notes


def _read_notes(path: Path) -> Notes:
    import msgspec  # noqa: PLC0415

    from adserver.domain.errors import InvalidInput, Problem  # noqa: PLC0415

    try:
        return msgspec.json.decode(path.read_bytes(), type=Notes)
    except msgspec.MsgspecError as error:
        raise InvalidInput(
            f"{path.parent} holds a demo of another version",
            [Problem("--data", f"delete the directory or name another ({error})")],
        ) from None


def at_this_address(settings: Settings, notes: Notes) -> Notes:
    """Publish the catalogue again when it names another address than the clips now have.

    Not when somebody has published another catalogue since: that one is theirs.
    """
    import msgspec  # noqa: PLC0415

    from adserver.start import open_versions  # noqa: PLC0415

    now = open_versions(settings).pointer().catalogue
    if notes.address == _clips_address(settings) or now != notes.catalogue:
        return notes
    version = _publish_catalogue(settings)
    notes = msgspec.structs.replace(notes, address=_clips_address(settings), catalogue=version)
    (settings.data / NOTES).write_bytes(msgspec.json.encode(notes))
    return notes


def _publish_catalogue(settings: Settings) -> str:
    """Publish the world's catalogue with the clips where this demo serves them."""
    from adserver.page.scene import CATALOGUE, LANDING_PATH, SOURCE  # noqa: PLC0415
    from adserver.start import open_versions  # noqa: PLC0415
    from adserver.worlds.placeholder import LANDING, MEDIA  # noqa: PLC0415

    source = settings.data / SOURCE
    document = (source / CATALOGUE).read_bytes()
    document = document.replace(MEDIA.encode(), _clips_address(settings).encode())
    landing = settings.base_url + LANDING_PATH
    document = document.replace(LANDING.encode(), landing.encode())
    return open_versions(settings).publish_catalogue(document, source).version


def _clips_address(settings: Settings) -> str:
    from adserver.page.scene import CLIPS_PATH  # noqa: PLC0415

    return settings.base_url + CLIPS_PATH


def _prepare(session: Session, settings: Settings, world_name: str) -> Notes:
    """Learn the world, publish its catalogue and model, store its viewers."""
    import msgspec  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    from adserver.page.scene import CATALOGUE, MEMBERS, SOURCE  # noqa: PLC0415
    from adserver.runtime.clock import SystemClock  # noqa: PLC0415
    from adserver.runtime.entropy import SystemEntropy  # noqa: PLC0415
    from adserver.start import open_versions, open_viewers  # noqa: PLC0415
    from adserver.viewer.codec import encode  # noqa: PLC0415
    from adserver.worlds.cast import everybody  # noqa: PLC0415
    from adserver.worlds.load import build_world, prepare  # noqa: PLC0415
    from adserver.worlds.world import VECTORS_FILE  # noqa: PLC0415

    with stages(session) as tell:
        tell("loading the world", 0.0)
        world = build_world(world_name)
        prepared = prepare(world, SystemClock().now_ms(), SystemEntropy(), tell)
        versions = open_versions(settings)
        source = settings.data / SOURCE
        source.mkdir(parents=True, exist_ok=True)
        (source / CATALOGUE).write_bytes(prepared.catalogue)
        np.save(source / VECTORS_FILE, prepared.vectors)
        (settings.data / MEMBERS).write_bytes(msgspec.json.encode(everybody(world)))
        tell("publishing policy, model, catalogue", 0.0)
        versions.publish_policy(POLICY)
        versions.publish_model(prepared.model)
        version = _publish_catalogue(settings)
        tell("storing viewers", 0.0)
        store = open_viewers(settings)
        try:
            store.load((name, encode(record)) for name, record in prepared.records.items())
        finally:
            store.close()
        tell("storing viewers", 1.0)
    catalogue = world.catalogue
    categories = {c.targeting.category[0] for c in catalogue.campaigns if c.targeting.category}
    return Notes(
        world=world_name,
        placement=catalogue.placements[0].id,
        campaigns=len(catalogue.campaigns),
        variants=len(world.variant_ids),
        viewers=len(prepared.records),
        report=report_lines(prepared.report),
        categories=sorted(categories),
        address=_clips_address(settings),
        catalogue=version,
        format=2,
    )


def report_lines(report: "Report") -> list[str]:
    """Return how good the model is, as a table beside the reference."""
    rows = [
        ("random", report.random, report.reference.get("random")),
        ("item rate only", report.item_rate, report.reference.get("item_rate")),
        ("personalised", report.full, report.reference.get("full")),
    ]
    lines = [
        f"On {report.request_count:,} requests it never learnt from, 8 candidates each, the",
        "outcome of all known (in brackets: reference numbers):",
        "",
        f"  {'':16}{'NDCG@5':>14}{'value':>16}{'AUC complete':>18}{'AUC annoyed':>16}",
    ]
    for name, score, reference in rows:
        cells = [
            f"{getattr(score, field):.3f}"
            + (f" ({getattr(reference, field):.3f})" if reference else "")
            for field in ("ndcg", "value", "auc_complete", "auc_annoyed")
        ]
        lines.append(f"  {name:16}{cells[0]:>14}{cells[1]:>16}{cells[2]:>18}{cells[3]:>16}")
    lines += [
        f"  {'knowing it all':16}{'':14}{report.oracle:>8.3f}",
        "",
        "Allowed to show nothing:",
    ]
    for candidates, made in ((8, report.choice), (1, report.single)):
        lines.append(
            f"  {candidates} candidate{'s' if candidates > 1 else ' '}  value {made.always:.3f} to "
            f"{made.allowed:.3f}, annoyed {made.annoyed_always:.3f} to {made.annoyed_allowed:.3f}, "
            f"{made.shown:.0%} shown"
        )
    return lines


def _examples(settings: Settings, notes: Notes) -> "Sequence[Example]":
    """Return the examples of the snapshot in force, found now or at an earlier start."""
    import msgspec  # noqa: PLC0415

    from adserver.start import open_versions  # noqa: PLC0415
    from adserver.worlds.example import Showcase  # noqa: PLC0415

    snapshot = open_versions(settings).pointer().snapshot or ""
    path = settings.data / EXAMPLES
    if path.exists():
        known = msgspec.json.decode(path.read_bytes(), type=Showcase)
        if known.snapshot == snapshot:
            return known.examples
    found = Showcase(snapshot, tuple(_find_examples(settings, notes)))
    path.write_bytes(msgspec.json.encode(found))
    return found.examples


def _find_examples(settings: Settings, notes: Notes) -> "Sequence[Example]":
    """Decide for all viewers and pick three whose answers differ."""
    from adserver.decide.pipeline import Decider  # noqa: PLC0415
    from adserver.domain.errors import Broken  # noqa: PLC0415
    from adserver.runtime.clock import SystemClock  # noqa: PLC0415
    from adserver.start import mend_snapshot, open_versions, open_viewers  # noqa: PLC0415
    from adserver.viewer.codec import open_record  # noqa: PLC0415
    from adserver.worlds.showcase import showcase  # noqa: PLC0415

    mend_snapshot(settings)
    columns = open_versions(settings).load_snapshot()
    if columns is None:
        raise Broken(f"{settings.data} holds no snapshot; delete it and start again")
    store = open_viewers(settings)
    try:
        viewers = {name: open_record(raw) for name, raw in store.scan()}
    finally:
        store.close()
    now_ms = SystemClock().now_ms()
    examples = showcase(Decider(columns), notes.placement, notes.categories, viewers, now_ms)
    if not examples:
        raise Broken(f"{settings.data} holds no viewers; delete it and start again")
    return examples


def _body(example: "Example", placement: str) -> dict[str, Any]:
    return {
        "placement": placement,
        "viewer": {"id": example.viewer},
        "content": {"categories": [example.category]},
    }


def _welcome(
    running: Settings, notes: Notes, examples: "Sequence[Example]", trouble: str | None
) -> str:
    url = running.base_url
    kind = "real" if notes.world == "movielens" else "synthetic"
    loaded = f"{notes.viewers:,} {kind} viewers, {notes.variants:,} variants"
    tag = f"placement={notes.placement}&viewer={examples[0].viewer}&cat={examples[0].category}"
    lines = [
        "",
        f"adserver demo: {loaded} in {notes.campaigns} campaigns ({notes.world}).",
        "Bids, lengths, media and the time of viewing are synthetic.",
        "",
        *notes.report,
        "",
        f"  page       {url}/",
        *([f"             (with the browser's own player: {trouble})"] if trouble else []),
        f"  decisions  {url}/v1/decisions",
        f"  VAST tag   {url}/v1/vast?{tag}",
        f"  API        {url}/openapi.json",
        f"  health     {url}/readyz   {url}/metrics",
        f"  data       {running.data}",
        "",
    ]
    for example in examples:
        answer = (
            f"{example.variant} of {example.campaign}"
            if example.variant
            else f"nothing: {example.reason}"
        )
        body = json.dumps(_body(example, notes.placement))
        lines += [
            f"# {example.viewer} gets {answer} ({example.probability:.0%} of the time)",
            f"curl -s {url}/v1/decisions -H 'content-type: application/json' -d '{body}'",
            "",
        ]
    lines.append('Add "explain": true to a request to see why. Ctrl-C stops the demo.')
    return "\n".join(lines)
