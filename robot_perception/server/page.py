"""The page of the service."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from robot_perception.pipeline import MAX_CHARACTERS
from robot_perception.viewer import depth_gradient, render

_TEMPLATES = Path(__file__).with_name('templates')
# The page has its scripts, styles and pictures in itself, and asks no other server.
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@cache
def page(caveat: str, *, needs_token: bool, can_ask: bool) -> str:
    """Return the page as HTML.

    Args:
        caveat: what limits the networks, empty if nothing does.
        needs_token: whether requests need a token, for which the page asks.
        can_ask: whether the page has a field for questions.
    """
    return render(
        'service.html.j2',
        _TEMPLATES,
        title='robot_perception',
        caveat=caveat,
        needs_token=needs_token,
        can_ask=can_ask,
        max_characters=MAX_CHARACTERS,
        gradient=depth_gradient(),
    )
