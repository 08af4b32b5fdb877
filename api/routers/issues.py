"""Issues: the public list and map, one issue and its history, what may be meant, status, following."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.deps import (
    Anyone,
    City,
    CityStaff,
    CityWords,
    Cursor,
    DeviceCaller,
    Limit,
    Now,
    PersonId,
    PublicCityWords,
    Served,
    Transaction,
)
from api.listener import language_of
from api.models.feedback import FeedbackCountOut, FeedbackIn, FeedbackOut
from api.models.fields import Accuracy, Code, Latitude, Longitude, Text
from api.models.issues import (
    DeliveryOut,
    EventOut,
    FollowOut,
    IssueOut,
    IssueProperties,
    NearIssueProperties,
    StatusIn,
    StatusOut,
)
from api.models.lists import Feature, FeatureCollection, ItemList, Point, next_links
from api.openapi import problems
from api.queries import After, Box, Codes, Districts, PhotoIds, Statuses, bounding_box
from api.responses import GeoJson, answer
from db.tenancy import enter_city
from geo.points import LonLat
from issues.browse import IssueFilter, find_issue, list_issues
from issues.deliveries import count_deliveries
from issues.events import list_history
from issues.feedback import Verdict, count_feedback, give_feedback
from issues.follows import follow, unfollow
from issues.near import find_near
from issues.status import change_status

router = APIRouter(prefix="/v1/issues", tags=["issues"])


@router.get("", response_model=FeatureCollection[IssueProperties], response_class=GeoJson, responses=problems(410))
async def browse_issues(
    *,
    request: Request,
    caller: Anyone,
    session: Transaction,
    city: PublicCityWords,
    bbox: Box = None,
    status: Statuses = [],  # noqa: B006 - FastAPI copies it
    service_code: Codes = [],  # noqa: B006 - as above
    district: Districts = [],  # noqa: B006 - as above
    updated_after: After = None,
    number: Annotated[Text | None, Query(max_length=20, description="Of a report, as its sender was told.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List a city's issues, newest first; the staff's list holds private ones too.

    By the `number` of a report it finds the issue that has the report now, also after a merge or a split; where no
    report is left in that, only staff see it, and everybody else is told so (410).
    """
    wanted = IssueFilter(
        bbox=bounding_box(bbox),
        statuses=tuple(status),
        service_codes=tuple(service_code),
        districts=tuple(district),
        updated_after=updated_after,
        number=number,
    )
    staff = caller.is_staff_of(city.book.id)
    page = await list_issues(session, city.book.id, wanted, staff=staff, limit=limit, cursor=cursor)
    features = [
        Feature[IssueProperties](id=issue.id, geometry=Point.of(issue.at), properties=IssueProperties.of(issue, city))
        for issue in page.items
    ]
    links = next_links(request, page.next_cursor, jurisdiction_id=city.jurisdiction_id)
    return GeoJson.of(FeatureCollection[IssueProperties](features=features, number_returned=len(features), links=links))


# Before the calls with an id, which would take "near" for one.
@router.get(
    "/near",
    response_model=FeatureCollection[NearIssueProperties],
    response_class=GeoJson,
)
async def find_issues_near(
    *,
    request: Request,
    caller: Anyone,
    served: Served,
    session: Transaction,
    now: Now,
    lat: Annotated[Latitude, Query()],
    long: Annotated[Longitude, Query()],
    service_code: Annotated[Code, Query()],
    accuracy_m: Annotated[Accuracy | None, Query()] = None,
    photo_ids: PhotoIds = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Find issues that a report from here may be about, best first, each with its score and the reasons.

    Open ones of the service, of its siblings, and of others of its group; also such as were fixed a short while ago.
    Photos that the caller has uploaded (`photo_ids`) count once they are ready.
    """
    at = LonLat(lon=long, lat=lat)
    book = served.cities.at(at)
    city = served.cities.named(book, language_of(request, book))
    await enter_city(session, book.id)
    found = await find_near(
        session,
        city=book,
        service_code=service_code,
        at=at,
        accuracy_m=accuracy_m,
        photo_ids=photo_ids,
        uploader=caller.actor.sender,
        now=now,
    )
    features = [
        Feature[NearIssueProperties](
            id=near.issue.id, geometry=Point.of(near.issue.at), properties=NearIssueProperties.of_near(near, city)
        )
        for near in found
    ]
    return GeoJson.of(FeatureCollection[NearIssueProperties](features=features, number_returned=len(features)))


@router.get("/{issue_id}", response_model=IssueOut, responses=problems(410))
async def read_issue(*, caller: Anyone, session: Transaction, city: PublicCityWords, issue_id: UUID) -> Response:
    """Read one issue. One that was merged shows its own id, the status of the survivor, and `merged_into`."""
    issue = await find_issue(session, city.book.id, issue_id, staff=caller.is_staff_of(city.book.id))
    return answer(IssueOut.of(issue, city))


@router.get("/{issue_id}/events", response_model=ItemList[EventOut], responses=problems(410))
async def read_history(
    *,
    request: Request,
    caller: Anyone,
    session: Transaction,
    city: PublicCityWords,
    issue_id: UUID,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Read an issue's history in order; the city's staff see internal events too, and who acted."""
    staff = caller.is_staff_of(city.book.id)
    page = await list_history(session, city.book.id, issue_id, staff=staff, limit=limit, cursor=cursor)
    links = next_links(request, page.next_cursor, jurisdiction_id=city.jurisdiction_id)
    return answer(ItemList[EventOut](items=[EventOut.of(event, city) for event in page.items], links=links))


@router.get("/{issue_id}/deliveries", response_model=ItemList[DeliveryOut])
async def read_deliveries(*, caller: CityStaff, session: Transaction, city: City, issue_id: UUID) -> Response:  # noqa: ARG001 - asked for, so that nobody else comes in
    """Count the pushes about an issue by event and state: for the city's staff."""
    counts = await count_deliveries(session, city.id, issue_id)
    return answer(ItemList[DeliveryOut](items=[DeliveryOut.of(count) for count in counts], links=[]))


@router.post("/{issue_id}/status", response_model=StatusOut, responses=problems(400, 409, 413, 415))
async def set_status(
    *, caller: CityStaff, session: Transaction, city: CityWords, now: Now, issue_id: UUID, body: StatusIn
) -> Response:
    """Bring an issue to a status, or say something about it; crews for the issues of their orders."""
    change = await change_status(
        session,
        city.book.id,
        issue_id,
        body.status,
        actor=caller.actor,
        note=body.note,
        public=body.public,
        command_id=body.id,
        now=now,
    )
    return answer(StatusOut(status=change.status, event_id=change.event_id, issue=IssueOut.of(change.issue, city)))


@router.post("/{issue_id}/feedback", response_model=FeedbackOut, responses=problems(400, 409, 413, 415))
async def post_feedback(
    *, caller: DeviceCaller, session: Transaction, city: City, now: Now, issue_id: UUID, body: FeedbackIn
) -> Response:
    """Say whether a problem is fixed: its reporters and followers, within 14 days; "no" opens the issue again."""
    verdict = Verdict(body.fixed, body.satisfaction)
    given = await give_feedback(session, city.id, issue_id, verdict, actor=caller.actor, now=now)
    return answer(
        FeedbackOut(
            issue_id=issue_id,
            jurisdiction_id=city.jurisdiction_id,
            status=given.issue.status,
            reopened=given.reopened,
        )
    )


@router.get("/{issue_id}/feedback", response_model=ItemList[FeedbackCountOut])
async def read_feedback(*, caller: CityStaff, session: Transaction, city: City, issue_id: UUID) -> Response:  # noqa: ARG001 - asked for, so that nobody else comes in
    """Count what people said of an issue's repairs: for the city's staff."""
    await find_issue(session, city.id, issue_id, staff=True)
    counts = await count_feedback(session, city.id, issue_id)
    return answer(ItemList[FeedbackCountOut](items=[FeedbackCountOut.of(count) for count in counts], links=[]))


@router.put("/{issue_id}/follow", response_model=FollowOut)
async def follow_issue(*, person_id: PersonId, session: Transaction, city: City, now: Now, issue_id: UUID) -> Response:
    """Hear about an issue."""
    await follow(session, city.id, issue_id, person_id, now=now)
    return answer(FollowOut(issue_id=issue_id, jurisdiction_id=city.jurisdiction_id, following=True))


@router.delete("/{issue_id}/follow", response_model=FollowOut)
async def unfollow_issue(
    *, person_id: PersonId, session: Transaction, city: City, now: Now, issue_id: UUID
) -> Response:
    """Hear no more about an issue, also as the author of one of its reports."""
    await unfollow(session, city.id, issue_id, person_id, now=now)
    return answer(FollowOut(issue_id=issue_id, jurisdiction_id=city.jurisdiction_id, following=False))
