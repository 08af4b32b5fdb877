"""Who is told: the language of an answer, and the cities whose words it may need."""

from dataclasses import dataclass
from functools import partial

from starlette.requests import HTTPConnection

from api.cities import CitiesInForce
from api.language import FALLBACK, Say
from api.scope import CALLER, CITY, LANGUAGE
from api.serving import serving_of
from issues.city import CityBook


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told: the language of the answer, and the cities whose words it may need."""

    say: Say
    language: str
    cities: CitiesInForce


def language_of(request: HTTPConnection, city: CityBook | None = None) -> str:
    """Choose the language of an answer: the device's, then the one asked for, then the city's.

    The answer's headers will name it.

    Args:
        request: The request, with its caller as far as known.
        city: The city it is about; None: the one it was found to be about, or the only one there is.
    """
    serving = serving_of(request)
    caller = request.scope.get(CALLER)
    about = city or request.scope.get(CITY) or serving.cities.current.only()
    language = serving.languages.choose(
        None if caller is None else caller.locale,
        request.headers.get("accept-language"),
        FALLBACK if about is None else about.locale,
    )
    request.scope[LANGUAGE] = language
    return language


def listener_of(request: HTTPConnection) -> Listener:
    """Get whom an answer is for."""
    serving = serving_of(request)
    language = language_of(request)
    return Listener(partial(serving.languages.translate, language), language, serving.cities)
