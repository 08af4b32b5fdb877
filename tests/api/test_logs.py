"""Logs are one JSON object a line, whoever writes, and repeat no values."""

import io
import json
import logging

import psycopg
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from api.logs import configure_logs


@pytest.fixture
def written():
    """What was logged since, as the objects that a collector reads."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs("info", readable=False, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_our_events_and_those_of_libraries_have_one_form_and_the_id_of_the_request(written):
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("report_filed", report_id="x")
        logging.getLogger("library").warning("careful: %s", "hot")

    ours, theirs = written()
    assert (ours["event"], ours["report_id"], ours["level"]) == ("report_filed", "x", "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("careful: hot", "library", "warning")
    assert ours["request_id"] == theirs["request_id"] == "r-1"
    assert ours["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_left_out(written):
    structlog.get_logger().debug("detail")
    logging.getLogger("library").debug("detail")
    logging.getLogger("httpx").info("GET https://example.org/?token=secret")

    assert written() == []


async def test_a_traceback_is_kept_without_the_values_of_the_row(written, owner):
    person = {"email": "somebody@example.org"}
    try:
        async with owner.transaction() as session:
            await session.execute(text("CREATE TEMP TABLE person (email text CHECK (email = ''))"))
            await session.execute(text("INSERT INTO person VALUES (:email)"), person)
    except IntegrityError:
        structlog.get_logger().exception("request_failed")
        logging.getLogger("library").exception("failed")

    events = written()
    assert len(events) == 2
    for event in events:
        assert "violates check constraint" in event["exception"]
        assert "INSERT INTO person" in event["exception"]
        assert "somebody@example.org" not in event["exception"]


def test_a_row_of_several_lines_is_left_out_whole(written):
    message = "refused\nDETAIL:  Failing row contains (1, first line\nsecond line)."
    try:
        raise psycopg.errors.CheckViolation(message)
    except psycopg.Error:
        structlog.get_logger().exception("request_failed")

    [event] = written()
    assert "refused" in event["exception"]
    assert "first line" not in event["exception"]
    assert "second line" not in event["exception"]
