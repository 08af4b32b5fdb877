"""What a browser needs to know before it can be pushed to."""

from fastapi import APIRouter

from api.deps import Served
from api.models.devices import PushKeyOut

router = APIRouter(prefix="/v1/push", tags=["devices"])


@router.get("/key")
async def read_push_key(served: Served) -> PushKeyOut:
    """Read the key that browsers and apps subscribe for at their push service (VAPID, RFC 8292).

    It stays the same for as long as this installation's database is kept.
    """
    return PushKeyOut(public_key=served.push_key)
