"""Who is counted for what they send, from what a request tells about them."""

from datetime import datetime

from starlette.requests import HTTPConnection

from api.auth import Caller
from api.serving import Serving, serving_of
from db.rates import Allowance
from issues.allowances import Sender, photo_allowances, report_allowances
from issues.city import CityBook


def allowances_for_report(request: HTTPConnection, caller: Caller, city: CityBook, now: datetime) -> list[Allowance]:
    """Tell what counts for a report of this caller; nothing for staff and keys."""
    if caller.city_id is not None:
        return []
    sender = _sender(request, serving_of(request), caller)
    return report_allowances(city.settings.limits, sender, city_id=city.id, now=now)


def allowances_for_photo(request: HTTPConnection, caller: Caller, now: datetime) -> list[Allowance]:
    """Tell what counts for a photo of this caller; nothing for staff and keys."""
    if caller.city_id is not None:
        return []
    served = serving_of(request)
    limits = [book.settings.limits for book in served.cities.current.books.values()]
    return photo_allowances(limits, _sender(request, served, caller), now=now)


def _sender(request: HTTPConnection, served: Serving, caller: Caller) -> Sender:
    # The server has put the right one there, also where the request came through proxies that are trusted.
    address = None if request.client is None else request.client.host
    return Sender(device_id=caller.device_id, address=address, key=served.rate_key)
