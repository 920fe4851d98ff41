"""Pages as they go out: rendered, under a policy that lets them run their own script and nothing else."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailer.reports.figures import clock, grouped
from mailer.web.opened import visible

HOSTS = ("127.0.0.1", "localhost")
"""Host headers that are answered, with any port: a tunnel may end at another. Other names are DNS rebinding."""

_SAME_FOR_ALL = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # Otherwise a browser looks up the hosts of the links in a mail before anybody follows them.
    (b"x-dns-prefetch-control", b"off"),
)
_STRICTEST = b"default-src 'none'; frame-ancestors 'none'; sandbox"
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect y="5" width="32" height="22" rx="5"'
    ' fill="#2a5bd7"/><path d="M5 11l11 8 11-8" fill="none" stroke="#fff" stroke-width="3"/></svg>'
)


class SafeHeaders:
    """Adds to every answer what keeps it from being used by somebody else's page, and a policy where it has none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [(name, value) for name, value in message["headers"] if name != b"cache-control"]
                if not any(name == b"content-security-policy" for name, _ in given):
                    given.append((b"content-security-policy", _STRICTEST))
                message = {**message, "headers": [*given, *_SAME_FOR_ALL]}
            await send(message)

        await self.app(scope, receive, with_headers)


def guards() -> list[Middleware]:
    """What every request passes: our own names only, and headers on each answer."""
    return [
        Middleware(SafeHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False),
    ]


def page(name: str, *, status: int = 200, **context: object) -> HTMLResponse:
    """A page from its template in `page/`. Scripts and styles from elsewhere, or within mail, do not count there."""
    body = _environment().get_template(name).render(context)
    return HTMLResponse(body, status, headers={"Content-Security-Policy": _policy()})


def not_found(request: Request, error: Exception) -> Response:
    """A page for what is not there; under `/api/` an error for a program."""
    if request.url.path.startswith("/api/"):
        from starlette.responses import JSONResponse

        problem = {"code": "E109", "message": "there is no such message", "retryable": False}
        return JSONResponse({"schema_version": 1, "error": problem}, 404)
    return page("missing.html.j2", status=404, seen=None)


@cache
def _policy() -> str:
    return (
        f"default-src 'none'; style-src {_hash(_part('page.css'))}; script-src {_hash(_part('page.js'))}; "
        "connect-src 'self'; img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mailer.web", "page"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grouped": grouped, "clock": clock, "visible": visible, "bytes": size_of}
    environment.globals |= {
        "style": Markup(_part("page.css")),  # noqa: S704 (files of this package, as is)
        "script": Markup(_part("page.js")),  # noqa: S704 (the same)
        "icon": f"data:image/svg+xml,{quote(_ICON)}",
    }
    return environment


def size_of(size: int) -> str:
    """A number of bytes for people: `812 B`, `14.2 kB`, `1.3 MB`."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 999_950 else f"{size / 1e6:.1f} MB"


def _shown(value: object) -> object:
    """The last thing that happens to a value before it is escaped: controls and bidirectional marks show."""
    if value is None:
        return ""
    if not isinstance(value, str) or value.isprintable() or hasattr(value, "__html__"):
        return value
    return visible(value)


@cache
def _part(name: str) -> str:
    return (files("mailer.web") / "page" / name).read_text("utf-8")


def _hash(source: str) -> str:
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"
