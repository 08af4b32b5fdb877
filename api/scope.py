"""What the parts of the edge leave for each other in a request's ASGI scope."""

from typing import Final

REQUEST_ID: Final = "jalon.request_id"
"""The request's id, a text."""
BODY: Final = "jalon.body"
"""The `api.middleware.IncomingBody` that measures what comes in."""
CALLER: Final = "jalon.caller"
"""The `api.auth.Caller`, once known."""
CITY: Final = "jalon.city"
"""The `issues.city.CityBook` that the request is about, once known."""
STALL_S: Final = "jalon.stall_s"
"""In the state of the server: for how many seconds a request may keep it waiting."""
OVERRUN: Final = "jalon.overrun"
"""Set by `api.wire` where the sender went on after the end it had announced."""
UNREAD: Final = "jalon.unread"
"""Set by `api.wire` where the connection broke: the bytes of the body that had come and nobody had read."""
