"""Work orders: planning them, a crew's day, and what becomes of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api.deps import CityAgent, CityStaff, CityWords, Cursor, Limit, Now, Transaction
from api.models.fields import Code, Day
from api.models.lists import Feature, FeatureCollection, Point, next_links
from api.models.work_orders import WorkOrderChange, WorkOrderIn, WorkOrderOut, WorkOrderProperties
from api.openapi import created_at_location, problems
from api.problems.refusals import naming
from api.responses import GeoJson, answer, created
from issues.dispatch import OrderChange, WorkOrderDraft, change_work_order, create_work_order
from issues.work_orders import find_work_order, list_work_orders

router = APIRouter(prefix="/v1/work-orders", tags=["work orders"])


@router.post(
    "",
    status_code=201,
    response_model=WorkOrderOut,
    responses={
        200: {"description": "It had been planned before with this id.", "model": WorkOrderOut},
        **created_at_location("Planned."),
        **problems(400, 409, 413, 415),
    },
)
async def plan_work_order(
    *, request: Request, caller: CityAgent, session: Transaction, city: CityWords, now: Now, body: WorkOrderIn
) -> Response:
    """Plan work on one or more open issues for a crew and a day."""
    draft = WorkOrderDraft(
        issue_ids=tuple(body.issue_ids),
        crew_code=body.crew,
        planned_on=body.planned_on,
        id=body.id,
        tour_position=body.tour_position,
        note=body.note,
    )
    today = city.book.local_date(now)
    with naming("issue_ids", body.issue_ids):
        planned = await create_work_order(session, city.book.id, draft, actor=caller.actor, today=today, now=now)
    order = WorkOrderOut.of(planned.order, city)
    if not planned.created:
        return answer(order)
    return created(order, f"{request.url.path}/{planned.order.id}", jurisdiction_id=city.jurisdiction_id)


@router.get("", response_model=FeatureCollection[WorkOrderProperties], response_class=GeoJson)
async def browse_work_orders(
    *,
    request: Request,
    caller: CityStaff,
    session: Transaction,
    city: CityWords,
    crew: Annotated[Code | None, Query()] = None,
    planned_on: Annotated[Day | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List work orders in the order of the tour; a crew gets its own."""
    page = await list_work_orders(
        session,
        city.book.id,
        actor=caller.actor,
        crew_code=crew,
        planned_on=planned_on,
        limit=limit,
        cursor=cursor,
    )
    features = [
        Feature[WorkOrderProperties](
            id=order.id, geometry=Point.of(order.at), properties=WorkOrderProperties.of(order, city)
        )
        for order in page.items
    ]
    links = next_links(request, page.next_cursor, jurisdiction_id=city.jurisdiction_id)
    return GeoJson.of(
        FeatureCollection[WorkOrderProperties](features=features, number_returned=len(features), links=links)
    )


@router.get("/{order_id}", response_model=WorkOrderOut)
async def read_work_order(*, caller: CityStaff, session: Transaction, city: CityWords, order_id: UUID) -> Response:
    """Read one work order."""
    order = await find_work_order(session, city.book.id, order_id, actor=caller.actor)
    return answer(WorkOrderOut.of(order, city))


@router.patch("/{order_id}", response_model=WorkOrderOut, responses=problems(400, 409, 413, 415))
async def patch_work_order(
    *, caller: CityStaff, session: Transaction, city: CityWords, now: Now, order_id: UUID, body: WorkOrderChange
) -> Response:
    """Change a work order as it was seen in `version`; its issues follow its status.

    Sent again with the same `id`, it changes nothing more and gets the order as it stands.
    """
    change = OrderChange(
        status=body.status,
        crew_code=body.crew,
        planned_on=body.planned_on,
        tour_position=body.tour_position,
        note=body.note,
        photo_ids=tuple(body.photo_ids),
    )
    order = await change_work_order(
        session,
        city.book.id,
        order_id,
        change,
        version=body.version,
        actor=caller.actor,
        today=city.book.local_date(now),
        command_id=body.id,
        now=now,
    )
    return answer(WorkOrderOut.of(order, city))
