"""What callers are told when something of ours fails: never that it went well."""

from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from api.deps import received_at
from db.base import new_id
from tests.api.served import a_report, a_secret, problem_of


@pytest.fixture
def at_commit(owner):
    """Has every commit that touched a table do something first."""

    @asynccontextmanager
    async def at_commit(table: str, do: str):
        async with owner.transaction() as session:
            await session.execute(
                text(
                    f"CREATE FUNCTION do_at_commit() RETURNS trigger LANGUAGE plpgsql AS"
                    f" $$ BEGIN {do}; RETURN NULL; END $$"
                )
            )
            await session.execute(
                text(
                    f"CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
                    f" FOR EACH ROW EXECUTE FUNCTION do_at_commit()"
                )
            )
        try:
            yield
        finally:
            async with owner.transaction() as session:
                await session.execute(text("DROP FUNCTION do_at_commit CASCADE"))

    return at_commit


FAIL = "RAISE EXCEPTION 'the disk is full of secrets'"
BE_DEMOTED = "RAISE EXCEPTION 'a standby takes no writes' USING ERRCODE = '25006'"


async def test_a_report_is_acknowledged_only_once_it_is_committed(api, stored, at_commit):
    report = a_report()
    async with at_commit("report_home", FAIL):
        answer = await api.post("/v1/reports", json=report)

    problem_of(answer, 500, "unexpected")
    assert "secrets" not in answer.text
    assert (await stored())["report_home"] == 0
    assert (await api.post("/v1/reports", json=report)).status_code == 201


async def test_what_runs_in_the_requests_transaction_is_acknowledged_only_once_it_is_committed(api, stored, at_commit):
    async with at_commit("device", FAIL):
        answer = await api.as_(a_secret()).put(f"/v1/devices/{new_id()}", json={"platform": "ios"})

    problem_of(answer, 500, "unexpected")
    assert (await stored())["device"] == 0


async def test_a_database_that_takes_no_writes_now_is_worth_another_try(api, at_commit):
    report = a_report()
    async with at_commit("report_home", BE_DEMOTED):
        answer = await api.post("/v1/reports", json=report)

    problem_of(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert (await api.post("/v1/reports", json=report)).status_code == 201


@pytest.mark.parametrize(
    ("sqlstate", "said"),
    [
        ("40P01", "Too much is going on"),  # a deadlock
        ("55P03", "Too much is going on"),  # a lock that did not come free
        ("57014", "Too much is going on"),  # a statement that took too long
        ("53100", "no room"),  # disk full
        ("53200", "no room"),  # out of memory
        ("53300", "no room"),  # too many connections
    ],
)
async def test_a_database_that_is_busy_or_full_is_worth_another_try(api, stored, at_commit, sqlstate, said):
    report = a_report()
    async with at_commit("report_home", f"RAISE SQLSTATE '{sqlstate}'"):
        answer = await api.post("/v1/reports", json=report, headers={"Accept-Language": "en"})

    assert said in problem_of(answer, 503, "unavailable")["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert (await stored())["report_home"] == 0
    assert (await api.post("/v1/reports", json=report)).status_code == 201


async def test_a_mistake_of_ours_is_a_problem_without_a_word_about_it(app, api):
    def fail():
        raise RuntimeError("a password, say")

    app.dependency_overrides[received_at] = fail

    answer = await api.get("/v1/issues", headers={"Accept-Language": "en"})

    document = problem_of(answer, 500, "unexpected")
    assert document["title"] == "Our mistake"
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "password" not in answer.text
