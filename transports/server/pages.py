"""The web pages: the files of `transports/pages/`, and nothing else on the disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGES = Path(__file__).parent.parent / "pages"

CONTENT_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Written down, because what Python's `mimetypes` knows depends on the machine."""

PAGE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        "media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_routes(folder: Path = PAGES) -> Sequence[Route]:
    """One route for every file below `folder`, and "/" for its index.html.

    The files are read once, here: what a request names is looked up among the routes and never on
    the disk, so there is no path to climb out by.
    """
    routes = []
    for file in sorted(folder.rglob("*")):
        content_type = CONTENT_TYPES.get(file.suffix)
        if content_type is None or not file.is_file():
            continue
        name = file.relative_to(folder).as_posix()
        endpoint = _page(file.read_bytes(), content_type)
        routes.append(Route(f"/{name}", endpoint))
        if name == "index.html":
            routes.append(Route("/", endpoint))
    return routes


def _page(content: bytes, content_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(_request: Request) -> Response:
        return Response(content, headers={**PAGE_HEADERS, "Content-Type": content_type})

    return page
