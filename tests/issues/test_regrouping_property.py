"""Whatever residents and staff do with reports and issues, in whatever order, nothing is lost and all adds up."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from db.base import new_id
from db.sessions import Database
from issues.audience import find_audience
from issues.corrections import withdraw_report
from issues.follows import follow, unfollow
from issues.issue import IssueMerged
from issues.merging import merge_issues
from issues.splitting import leave_issue, split_issue
from issues.undoing import AlreadyUndone, UndoBlocked, undo_event
from tests.issues.people import AGENT, RESIDENT
from tests.issues.towns import ESSAI, NEXT_DAY, NOON, Town, east_of, file, open_town, submission

PEOPLE = [new_id(), new_id(), new_id(), None]  # None: somebody without a phone of theirs
SPOTS_M = [0.0, 3.0, 40.0, 200.0]
OPEN = {"received", "acknowledged", "scheduled", "in_progress"}

indices = st.integers(min_value=0, max_value=1_000)
towns = count()


@dataclass
class Done:
    """A merge, split or leave as the model remembers it."""

    event_id: UUID
    issue_id: UUID
    merge: bool
    others: list[UUID]
    moves: dict[UUID, tuple[UUID, UUID]]
    undone: bool = False


@dataclass
class Model:
    """What ought to be so, in a few dictionaries."""

    home: dict[UUID, UUID] = field(default_factory=dict)  # report -> issue
    author: dict[UUID, UUID | None] = field(default_factory=dict)
    withdrawn: set[UUID] = field(default_factory=set)
    survivor: dict[UUID, UUID | None] = field(default_factory=dict)  # issue -> the one that took it over
    wishes: dict[tuple[UUID, UUID], tuple[bool, int]] = field(default_factory=dict)  # issue, person -> wish, when
    done: list[Done] = field(default_factory=list)
    clock: int = 0

    @property
    def unmerged(self) -> list[UUID]:
        return sorted(issue for issue, survivor in self.survivor.items() if survivor is None)

    def living(self, issue: UUID) -> list[UUID]:
        return sorted(report for report in self.home if self.home[report] == issue and report not in self.withdrawn)

    def move(self, moves: dict[UUID, tuple[UUID, UUID]]) -> None:
        for report, (_, to) in moves.items():
            self.home[report] = to

    def family(self, issue: UUID) -> set[UUID]:
        found = {issue}
        while more := {each for each, survivor in self.survivor.items() if survivor in found} - found:
            found |= more
        return found

    def audience(self, issue: UUID) -> set[UUID]:
        said: dict[UUID, tuple[int, bool]] = {}
        for (about, person), (following, at) in self.wishes.items():
            if about in self.family(issue):
                said[person] = max(said.get(person, (-1, True)), (at, following))
        authors = {author for report in self.living(issue) if (author := self.author[report]) is not None}
        return {person for person in authors | said.keys() if said.get(person, (0, True))[1]}

    def standing(self, done: Done) -> list[UUID]:
        def has_home(issue: UUID, to: UUID) -> bool:
            return self.survivor[issue] == (to if done.merge else None)

        return [report for report, (back, to) in done.moves.items() if self.home[report] == to and has_home(back, to)]


class Regrouping(RuleBasedStateMachine):
    """A town, and a model of it, to which the same things happen."""

    owner_url: str
    app_url: str

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = self.runner.run(self._open(self.app_url))
        self.city = self.runner.run(self._build())
        self.model = Model()
        self.seen: list[UUID] = []

    def teardown(self):
        self.runner.run(self.database.__aexit__(None, None, None))
        self.runner.close()

    async def _open(self, url: str) -> Database:
        return await Database(url).__aenter__()

    async def _build(self):
        async with Database(self.owner_url, role=None) as owner:
            return await open_town(owner, self.database, Town(f"essai-{next(towns)}.ca", ESSAI.west))

    @property
    def now(self):
        return NOON + timedelta(seconds=self.model.clock)

    def act(self, command, *arguments, **more):
        """Do something in a transaction of its own, a second after the last."""
        self.model.clock += 1

        async def run():
            async with self.database.transaction(self.city.id) as session:
                return await command(session, *arguments, now=self.now, **more)

        return self.runner.run(run())

    # What residents do.

    def _file(self, who, spot, issue_id=None):
        self.model.clock += 1
        sent = submission(
            east_of(ESSAI.middle, SPOTS_M[spot % len(SPOTS_M)]),
            person_id=PEOPLE[who % len(PEOPLE)],
            issue_id=issue_id,
        )
        receipt = self.runner.run(file(self.database, self.city, sent, now=self.now))
        self.model.home[sent.id] = receipt.issue.id
        self.model.author[sent.id] = sent.person_id
        assert self.model.survivor.setdefault(receipt.issue.id, None) is None
        return receipt

    @rule(who=indices, spot=indices)
    def report(self, who, spot):
        self._file(who, spot)

    @precondition(lambda self: self.model.survivor)
    @rule(who=indices, which=indices)
    def join(self, who, which):
        named = sorted(self.model.survivor)[which % len(self.model.survivor)]
        wanted = named
        while (survivor := self.model.survivor[wanted]) is not None:
            wanted = survivor
        receipt = self._file(who, 0, named)
        if receipt.issue.id != wanted:
            shown = self.runner.run(self._issue(wanted))
            assert shown["status"] not in OPEN or shown["metres"] > 100

    @precondition(lambda self: self.model.home)
    @rule(which=indices)
    def leave(self, which):
        report = sorted(self.model.home)[which % len(self.model.home)]
        if report in self.model.withdrawn:
            return
        before, event_id = self.model.home[report], new_id()
        receipt = self.act(leave_issue, report, city=self.city, actor=RESIDENT, by_author=True, command_id=event_id)
        if len(self.model.living(before)) == 1:
            assert receipt.issue.id == before
            return
        opened = receipt.issue.id
        self._part(Done(event_id, before, merge=False, others=[opened], moves={report: (before, opened)}))

    @precondition(lambda self: self.model.home)
    @rule(which=indices)
    def withdraw(self, which):
        report = sorted(self.model.home)[which % len(self.model.home)]
        self.act(withdraw_report, report, city=self.city, actor=RESIDENT, by_author=True)
        self.model.withdrawn.add(report)

    @precondition(lambda self: self.model.survivor)
    @rule(who=indices, which=indices, following=st.booleans())
    def wish(self, who, which, following):
        person = PEOPLE[who % 3]
        issue = sorted(self.model.survivor)[which % len(self.model.survivor)]
        self.act(follow if following else unfollow, self.city.id, issue, person)
        if self.model.wishes.get((issue, person), (None, 0))[0] is not following:
            self.model.wishes[issue, person] = (following, self.model.clock)

    # What staff do.

    def _part(self, done):
        assert done.others[0] not in self.model.survivor
        self.model.survivor[done.others[0]] = None
        self.model.move(done.moves)
        self.model.done.append(done)

    @precondition(lambda self: len(self.model.unmerged) > 1)
    @rule(picks=st.lists(indices, min_size=2, max_size=4))
    def merge(self, picks):
        unmerged = self.model.unmerged
        survivor, *others = dict.fromkeys(unmerged[pick % len(unmerged)] for pick in picks)
        merged = self.act(merge_issues, self.city.id, survivor, others, actor=AGENT, confirmed=True)
        if not others:
            assert merged.event_id is None
            return
        moves = {report: (home, survivor) for report, home in self.model.home.items() if home in others}
        self.model.survivor |= dict.fromkeys(others, survivor)
        self.model.move(moves)
        self.model.done.append(Done(merged.event_id, survivor, merge=True, others=sorted(others), moves=moves))

    @precondition(lambda self: any(len(self.model.living(issue)) > 1 for issue in self.model.unmerged))
    @rule(which=indices, picks=st.lists(indices, min_size=1, max_size=3))
    def split(self, which, picks):
        crowded = [issue for issue in self.model.unmerged if len(self.model.living(issue)) > 1]
        issue = crowded[which % len(crowded)]
        reports = self.model.living(issue)
        chosen = sorted({reports[pick % (len(reports) - 1)] for pick in picks})
        divided = self.act(split_issue, issue, chosen, city=self.city, actor=AGENT)
        opened = divided.others[0].id
        moves = dict.fromkeys(chosen, (issue, opened))
        self._part(Done(divided.event_id, issue, merge=False, others=[opened], moves=moves))

    @precondition(lambda self: self.model.done)
    @rule(which=indices, force=st.booleans())
    def undo(self, which, force):
        done = self.model.done[which % len(self.model.done)]
        standing = self.model.standing(done)
        blocked = len(standing) < len(done.moves)
        refusal: type[Exception] | None = None
        if done.undone:
            refusal = AlreadyUndone
        elif self.model.survivor[done.issue_id] is not None:
            refusal = IssueMerged
        elif blocked and not (force and standing):
            refusal = UndoBlocked
        try:
            undone = self.act(undo_event, self.city.id, done.issue_id, done.event_id, actor=AGENT, force=force)
        except (AlreadyUndone, IssueMerged, UndoBlocked) as error:
            assert type(error) is refusal  # noqa: PT017 - which one depends on what was drawn
            return
        assert refusal is None
        assert {each.report_id for each in undone.stayed} == done.moves.keys() - set(standing)
        done.undone = True
        self.model.move({report: done.moves[report][::-1] for report in standing})
        if done.merge:
            gave = {back for back, _ in done.moves.values()}
            returned = {done.moves[report][0] for report in standing} | (set(done.others) - gave)
            self.model.survivor |= dict.fromkeys(returned)
        elif done.others[0] not in self.model.home.values():
            self.model.survivor[done.others[0]] = done.issue_id

    # What always holds.

    async def _rows(self, query):
        async with self.database.transaction(self.city.id) as session:
            return (await session.execute(text(query), {"city": self.city.id})).all()

    async def _issue(self, issue_id):
        here = ESSAI.middle
        rows = await self._rows(
            f"SELECT id, status, ST_Distance(place, ST_Point({here.lon}, {here.lat}, 4326)::geography) AS metres"
            " FROM issue WHERE city_id = :city"
        )
        return next(row._mapping for row in rows if row.id == issue_id)

    @invariant()
    def every_report_is_in_the_issue_that_it_ought_to_be_in(self):
        rows = self.runner.run(self._rows("SELECT id, issue_id FROM report WHERE city_id = :city"))

        assert {row.id: row.issue_id for row in rows} == self.model.home

    @invariant()
    def issues_count_their_reports_and_those_merged_have_none(self):
        rows = self.runner.run(self._rows("SELECT id, report_count, merged_into FROM issue WHERE city_id = :city"))

        assert {row.id: row.merged_into for row in rows} == self.model.survivor
        assert {row.id: row.report_count for row in rows} == {
            issue: len(self.model.living(issue)) for issue in self.model.survivor
        }
        assert not [home for home in self.model.home.values() if self.model.survivor[home] is not None]

    @invariant()
    def everybody_who_ought_to_hear_does_once(self):
        async def hear():
            async with self.database.transaction(self.city.id) as session:
                return {
                    issue: await find_audience(session, self.city.id, issue, as_of=NEXT_DAY)
                    for issue in self.model.unmerged
                }

        for issue, listeners in self.runner.run(hear()).items():
            people = [listener.person_id for listener in listeners]
            assert len(people) == len(set(people))
            assert set(people) == self.model.audience(issue)

    @invariant()
    def no_event_is_lost_and_all_of_them_tell_where_every_report_is(self):
        rows = self.runner.run(
            self._rows("SELECT id, issue_id, kind, data FROM event WHERE city_id = :city ORDER BY seq")
        )

        assert [row.id for row in rows][: len(self.seen)] == self.seen
        self.seen = [row.id for row in rows]
        told = {}
        for row in rows:
            if row.kind in {"report.opened", "report.joined"}:
                told[UUID(row.data["report_id"])] = row.issue_id
            told |= {UUID(move["report"]): UUID(move["to"]) for move in row.data.get("moves", ())}
        assert told == self.model.home


def test_any_sequence_of_what_residents_and_staff_do_adds_up(owner_url, app_url):
    Regrouping.owner_url, Regrouping.app_url = owner_url, app_url

    run_state_machine_as_test(
        Regrouping,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
