"""What the demo serves beside the server it shows: the page, the clips, and one decision's story.

Nothing here is part of the interface for players, and ``adserver serve`` has none of it.
"""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from adserver.domain.errors import AdserverError
from adserver.edge import problem as problems
from adserver.edge.token import Expired, Forged
from adserver.page.player import FOLDER, TITLE, VERSION, fetched
from adserver.page.scene import CATALOGUE, CLIPS_PATH, SCENE, SOURCE, Film, Scene, films
from adserver.serve import asgi
from adserver.serve.account import Account
from adserver.serve.handler import Engines
from adserver.serve.past import PastEndpoint
from adserver.serve.words import REASONS, tell
from adserver.settings import Settings

HERE: Final = Path(__file__).parent
SITE: Final = HERE / "site"
PAGE: Final = "page.html"
ALLOWED: Final = b"GET, HEAD"
JSON: Final = b"application/json"
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Nothing from anywhere else, and nothing inline."""


class Story(Struct, frozen=True):
    """One decision, for the page."""

    account: Account
    films: Mapping[str, Film]
    """What the variants it speaks of are called."""
    why: str | None
    """Why nothing was shown, as half a sentence."""
    words: str
    """All of it, as ``adserver explain`` tells it."""


class Files:
    """The files of one folder, none beneath it; or one file of it alone."""

    def __init__(self, folder: Path, only: str | None = None, *, shared: bool = False) -> None:
        self._folder = folder
        self._only = only
        self._shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request; ranges are the library's."""
        seen: asgi.Seen = dict(scope["headers"])
        cross_origin = asgi.cross_origin(seen) if self._shared else []
        path = self._folder / Path(self._only or scope["path_params"]["file"]).name
        if scope["method"] not in ("GET", "HEAD"):
            await asgi.other_method(send, scope["method"], seen, ALLOWED)
        elif not path.is_file():
            await asgi.refuse(send, asgi.Refused(problems.NOT_FOUND), cross_origin)
        else:
            headers = {
                "cache-control": "no-cache",
                "content-security-policy": CONTENT_POLICY,
                "x-content-type-options": "nosniff",
                **{name.decode(): value.decode() for name, value in cross_origin},
            }
            media_type = mimetypes.guess_type(path.name)[0]
            await FileResponse(path, headers=headers, media_type=media_type)(scope, receive, send)


class SceneEndpoint:
    """``GET /demo/scene.json``: what there is to choose from, and with what it will be played."""

    def __init__(self, data: Path) -> None:
        self._data = data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        if scope["method"] not in ("GET", "HEAD"):
            await asgi.refuse(send, asgi.not_allowed(ALLOWED))
            return
        scene = msgspec.json.decode((self._data / SCENE).read_bytes(), type=Scene)
        # Looked at anew: the player may come a while after the first start.
        player = f"{TITLE} {VERSION}" if fetched(self._data) else None
        body = msgspec.json.encode(msgspec.structs.replace(scene, player=player))
        await asgi.send_answer(send, asgi.Answer(200, JSON, body))


class StoryEndpoint:
    """``GET /demo/story?d=TOKEN``: the decision behind a beacon token, and what was heard of it.

    Whoever may call the beacon may hear the story: the demo runs on loopback with its explanations
    open, and an answer without an ad names its decision nowhere but in the token.
    """

    def __init__(self, engines: Engines, past: PastEndpoint, catalogue: Path) -> None:
        self._engines = engines
        self._past = past
        self._catalogue = catalogue
        self._films: dict[str, Film] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise asgi.not_allowed(ALLOWED)
            account = await self._past.find(self._decision_id(scope["query_string"]))
        except AdserverError as error:
            await asgi.refuse(send, asgi.refusal_of(error))
            return
        body = msgspec.json.encode(self._story(account))
        await asgi.send_answer(send, asgi.Answer(200, JSON, body))

    def _decision_id(self, query: bytes) -> bytes:
        token = query.decode("ascii", "replace").removeprefix("d=")
        try:
            return self._engines.tokens.open(token, self._engines.clock.now_ms()).decision_id
        except Forged as error:
            raise asgi.Refused(problems.FORGED_TOKEN) from error
        except Expired as error:
            raise asgi.Refused(problems.EXPIRED_TOKEN) from error

    def _story(self, account: Account) -> Story:
        if self._films is None:
            self._films = films(self._catalogue)
        named: list[dict[str, Any]] = account.explanation.get("candidates", [])
        variants = [candidate["variant"] for candidate in named]
        return Story(
            account,
            {variant: self._films[variant] for variant in variants if variant in self._films},
            REASONS[account.reason] if isinstance(account.reason, str) else None,
            tell(account),
        )


def routes(settings: Settings, engines: Engines, past: PastEndpoint) -> list[BaseRoute]:
    """Return the routes of the page.

    Parameters
    ----------
    settings
        Name the data directory, where the demo has put the scene, the catalogue and the player.
    engines
        Of this worker.
    past
        Finds decisions; it checks no token when asked directly.
    """
    data = settings.data
    story = StoryEndpoint(engines, past, data / SOURCE / CATALOGUE)
    return [
        Route("/", Files(SITE, PAGE)),
        Route("/demo/story", story),
        Route("/demo/scene.json", SceneEndpoint(data)),
        Route(CLIPS_PATH + "{file}", Files(HERE / "clips", shared=True)),
        Route(f"/demo/{FOLDER}/{{file}}", Files(data / FOLDER)),
        Route("/demo/{file}", Files(SITE)),
    ]
