"""Hot spots on the wire."""

from datetime import datetime

from pydantic import Field

from api.cities import NamedCity
from api.models.fields import Outgoing
from issues.hotspots import HotSpot


class HotSpotProperties(Outgoing):
    """Open issues of one service that lie close together, but for the middle of their places."""

    jurisdiction_id: str = Field(examples=["montreal.ca"])
    service_code: str
    service_name: str
    issue_count: int
    report_count: int
    radius_m: float = Field(description="How far the outermost issue lies from the middle.")
    first_datetime: datetime = Field(description="When the first of the issues was opened.")
    last_datetime: datetime = Field(description="When one of them was last reported.")

    @classmethod
    def of(cls, spot: HotSpot, city: NamedCity) -> "HotSpotProperties":
        """Put a hot spot on the wire, in the language of the answer."""
        return cls(
            jurisdiction_id=city.jurisdiction_id,
            service_code=spot.service_code,
            service_name=city.service_name(spot.service_code),
            issue_count=spot.issue_count,
            report_count=spot.report_count,
            radius_m=round(spot.radius_m, 1),
            first_datetime=spot.first_at,
            last_datetime=spot.last_at,
        )
