"""Signed links in letters: a page that says what a tap will do, and the tap; or how an issue stands.

Opening a link does nothing, for mail programs open links before people do. The pages need no script and no sign-in.
"""

from collections.abc import Sequence
from html import escape
from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.cities import CitiesInForce
from api.deps import Now, Served, Transaction
from api.issue_page import read_issue_page
from api.listener import Listener, listener_of
from api.scope import CITY
from db.tenancy import enter_city
from issues.actors import Actor, Role
from issues.events import find_event
from issues.feedback import NothingToJudge, Verdict, give_feedback
from issues.issue import IssueNotFound, IssueWithdrawn
from issues.languages import msgid
from issues.lifecycle import NotAllowed
from issues.taps import Act, Tap, TapRefused
from push.emails import forget_address_of, verify_address

# Not in the API's description: these are pages for people, and their addresses are in letters only.
router = APIRouter(prefix="/t", include_in_schema=False)

_QUESTIONS: Final = {
    Act.VERIFY_EMAIL: msgid("Is this address yours, and shall the city's news about your reports come here?"),
    Act.STOP_EMAIL: msgid("Shall the city send no more e-mails about your reports here?"),
    Act.SAY_FIXED: msgid("Is the problem fixed?"),
    Act.SAY_NOT_FIXED: msgid("Confirm that the problem is not fixed. The city will open the issue again."),
}
_YES: Final = msgid("Yes")
# What is no question is not answered by "Yes": who reads "not fixed? Yes" cannot tell which of the two they say.
_BUTTONS: Final = {Act.SAY_NOT_FIXED: msgid("Confirm")}
_DONE: Final = {
    Act.VERIFY_EMAIL: msgid("Thank you. News about your reports come here from now on."),
    Act.STOP_EMAIL: msgid("Done. No more e-mails come here."),
    Act.SAY_FIXED: msgid("Thank you. How content are you with what the city did? 5 is best."),
    Act.SAY_NOT_FIXED: msgid("Thank you. The city knows. How content are you with what it did? 5 is best."),
}
_THANKS: Final = msgid("Thank you.")
_OVER: Final = msgid("This link does not work any more.")
_WITHDRAWN: Final = msgid("No report is about this problem any more: they were taken back, or were about another one.")
_SCALE: Final = msgid("{number} of 5")
_SCALE_ENDS: Final = 5
_MOST_FORM_BYTES: Final = 1000


@router.get("/{token}")
async def show_tap(*, request: Request, served: Served, session: Transaction, now: Now, token: str) -> Response:
    """Show what a tap on this link will do."""
    try:
        tap = served.taps.read(token, now=now)
    except TapRefused:
        return _over(listener_of(request), _OVER)
    listener = await _listen(request, served, session, tap)
    if tap.act is Act.READ_ISSUE:
        return await _show_issue(session, tap, served.cities, listener)
    button = listener.say(_BUTTONS.get(tap.act, _YES))
    return _page(listener, listener.say(_QUESTIONS[tap.act]), buttons=[("", "", button)])


@router.post("/{token}")
async def do_tap(*, request: Request, served: Served, session: Transaction, now: Now, token: str) -> Response:
    """Do what a link says; mail programs may do so for "unsubscribe" (RFC 8058)."""
    try:
        tap = served.taps.read(token, now=now)
    except TapRefused:
        return _over(listener_of(request), _OVER)
    listener = await _listen(request, served, session, tap)
    if tap.act is Act.READ_ISSUE:
        return await _show_issue(session, tap, served.cities, listener)
    satisfaction = _satisfaction(await request.body())
    if not await _do(session, tap, satisfaction, now=now):
        return _over(listener, _OVER)
    if satisfaction is not None:
        return _page(listener, listener.say(_THANKS))
    scale = range(1, _SCALE_ENDS + 1) if tap.act in (Act.SAY_FIXED, Act.SAY_NOT_FIXED) else ()
    buttons = [("satisfaction", str(number), listener.say(_SCALE, number=number)) for number in scale]
    return _page(listener, listener.say(_DONE[tap.act]), buttons=buttons)


async def _show_issue(session: AsyncSession, tap: Tap, cities: CitiesInForce, listener: Listener) -> Response:
    """Show how an issue stands; opening this link does nothing, and neither does posting to it."""
    city = cities.named(cities.by_id(tap.city_id), listener.language)
    try:
        page = await read_issue_page(session, tap, city)
    except IssueNotFound as error:
        return _over(listener, _WITHDRAWN if isinstance(error, IssueWithdrawn) else _OVER)
    return _page(listener, page.heading, lines=page.lines)


async def _listen(request: Request, served: Served, session: AsyncSession, tap: Tap) -> Listener:
    """Enter the tap's city, whose language counts where its reader's is not spoken."""
    request.scope[CITY] = served.cities.by_id(tap.city_id)
    await enter_city(session, tap.city_id)
    return listener_of(request)


async def _do(session: AsyncSession, tap: Tap, satisfaction: int | None, *, now: Now) -> bool:
    """Do what a link says; false where there is nothing to do it to any more."""
    match tap.act:
        case Act.VERIFY_EMAIL:
            return await verify_address(session, tap.city_id, tap.subject, now=now)
        case Act.STOP_EMAIL:
            await forget_address_of(session, tap.city_id, tap.person_id)
            return True
        case _:
            event = await find_event(session, tap.city_id, tap.subject)
            if event is None:
                return False
            verdict = Verdict(tap.act is Act.SAY_FIXED, satisfaction)
            actor = Actor("anonymous", Role.RESIDENT, person_id=tap.person_id)
            try:
                await give_feedback(
                    session, tap.city_id, event.issue_id, verdict, actor=actor, event_id=tap.subject, now=now
                )
            except (NothingToJudge, NotAllowed, IssueNotFound):
                return False
            return True


def _satisfaction(body: bytes) -> int | None:
    chosen = parse_qs(body[:_MOST_FORM_BYTES].decode("ascii", "replace")).get("satisfaction", [""])[0]
    return int(chosen) if chosen in {str(number) for number in range(1, _SCALE_ENDS + 1)} else None


def _over(listener: Listener, sentence: str) -> Response:
    return _page(listener, listener.say(sentence), status=410)


def _page(
    listener: Listener,
    heading: str,
    *,
    lines: Sequence[str] = (),
    buttons: Sequence[tuple[str, str, str]] = (),
    status: int = 200,
) -> Response:
    said = escape(heading)
    told = "".join(f"<p>{escape(line)}</p>\n" for line in lines)
    shown = "".join(
        f'<button name="{name}" value="{value}">{escape(label)}</button>\n' for name, value, label in buttons
    )
    form = f'<form method="post">\n{shown}</form>' if shown else ""
    page = f"""<!doctype html>
<html lang="{listener.language}"><head><meta charset="utf-8"><title>{said}</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex"></head>
<body><h1>{said}</h1>
{told}{form}</body></html>
"""
    headers = {
        "Cache-Control": "no-store",
        "Content-Language": listener.language,
        "Content-Security-Policy": "default-src 'none'; form-action 'self'",
        "Referrer-Policy": "no-referrer",  # the link is a secret
    }
    return HTMLResponse(page, status, headers=headers)
