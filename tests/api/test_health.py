"""What operators ask."""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from api.app import create_app
from api.readiness import Readiness
from api.settings import Settings
from db.base import new_id
from db.cluster import SUPERUSER
from db.tenancy import PrivilegedRole
from push.devices import register_device
from push.outcomes import count_outcomes
from push.queueing import Recipient, queue_notifications
from tests.api.served import PICTURE, PLATEAU, a_report
from tests.push.people import a_registration


async def test_the_bare_address_leads_to_where_the_calls_are_described(api):
    answer = await api.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, "docs")
    assert (await api.get("/docs")).status_code == 200


async def test_a_ready_process_says_so(api):
    assert (await api.get("/healthz")).json() == {"alive": True}
    answer = await api.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


async def test_without_its_storage_a_process_is_alive_and_not_ready(api, settings):
    shutil.rmtree(settings.data_dir / "photos")
    (settings.data_dir / "photos").write_text("no folder")

    answer = await api.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": True, "migrations": True, "storage": False}
    assert (await api.get("/healthz")).status_code == 200


async def test_who_asks_every_second_has_it_looked_at_every_few_seconds(app, settings):
    now, photos = 100.0, settings.data_dir / "photos"
    serving = app.state.serving
    readiness = Readiness(serving.database, serving.store, lambda: now)

    async def is_ready_after(seconds: float) -> bool:
        nonlocal now
        now = 100.0 + seconds
        return all((await readiness.find()).values())

    assert await is_ready_after(0)
    photos.rename(photos.with_name("elsewhere"))
    assert await is_ready_after(4.9)
    assert not await is_ready_after(5)
    photos.with_name("elsewhere").rename(photos)
    assert not await is_ready_after(5.9)
    assert await is_ready_after(6)


async def test_asking_whether_a_process_is_ready_writes_nothing(api, settings):
    def written():
        return [(path, path.stat().st_mtime_ns) for path in (settings.data_dir / "photos").rglob("*")]

    before = written()

    assert (await api.get("/readyz")).status_code == 200
    assert written() == before != []


async def test_a_full_disk_is_not_ready(api, monkeypatch):
    monkeypatch.setattr("media.objects.os.statvfs", lambda _: SimpleNamespace(f_bavail=1, f_frsize=4096))

    assert (await api.get("/readyz")).json()["checks"] == {"database": True, "migrations": True, "storage": False}


async def test_an_older_schema_is_not_ready(api, owner):
    async with owner.transaction() as session:
        newest = await session.scalar(text("SELECT version_num FROM alembic_version"))
        await session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    try:
        answer = await api.get("/readyz")
    finally:
        async with owner.transaction() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest})

    assert answer.json()["checks"] == {"database": True, "migrations": False, "storage": True}


async def test_numbers_have_names_that_prometheus_reads(api):
    await api.post("/v1/reports", json=a_report())
    await api.post("/v1/reports", json=a_report(lat=None))

    numbers = (await api.get("/metrics")).text

    assert 'jalon_http_requests_total{method="POST",route="/v1/reports",status="201"} 1.0' in numbers
    assert 'jalon_http_requests_total{method="POST",route="/v1/reports",status="422"} 1.0' in numbers
    assert 'jalon_reports_total{result="opened"} 1.0' in numbers
    assert "jalon_http_request_duration_seconds_bucket" in numbers


async def test_the_queue_is_counted_by_kind_and_state(api, register):
    device = await register()
    await device.api.put(f"/v1/photos/{new_id()}", content=PICTURE)

    numbers = (await api.get("/metrics")).text

    assert 'jalon_jobs{kind="media.make_safe",state="waiting"} 1.0' in numbers


async def test_pushes_that_wait_are_counted_by_city(api, database, cities):
    before = (await api.get("/metrics")).text
    city, an_hour_ago = cities.by_jurisdiction("montreal.ca"), datetime.now(UTC) - timedelta(hours=1)
    async with database.transaction(city.id) as session:
        phone = await register_device(session, a_registration("phone-1"), now=an_hour_ago)
        await queue_notifications(
            session, city.id, event_id=new_id(), kind="resolved", params={}, happened_at=an_hour_ago, now=an_hour_ago,
            recipients=[Recipient(phone.person_id, {})],
        )  # fmt: skip
        await count_outcomes(session, city.id, {("fid", "sent"): 3})

    after = (await api.get("/metrics")).text

    assert 'jalon_pushes_queued{city="montreal.ca"} 0.0' in before
    assert 'jalon_pushes_queued{city="montreal.ca"} 1.0' in after
    assert 'jalon_pushes_queued{city="laval.ca"} 0.0' in after
    assert 'jalon_push_outcomes_total{channel="fid",city="montreal.ca",outcome="sent"} 3.0' in after
    assert 3600 <= float(re.search(r'jalon_pushes_overdue_seconds{city="montreal.ca"} (\S+)', after)[1]) < 4000


async def test_every_answer_has_an_id_and_a_harmless_one_is_kept(api):
    given = await api.get("/healthz", headers={"X-Request-ID": "proxy-0123456789"})
    harmful = await api.get("/healthz", headers={"X-Request-ID": "a b;c" * 50})

    assert given.headers["x-request-id"] == "proxy-0123456789"
    assert len(harmful.headers["x-request-id"]) == 32


async def test_a_server_refuses_to_work_with_the_superusers_login(cluster, database_name, monkeypatch, tmp_path):
    monkeypatch.setenv("JALON_DATABASE_URL", cluster.url(SUPERUSER, database_name))
    monkeypatch.setenv("JALON_DATA_DIR", str(tmp_path))
    app = create_app(Settings())

    with pytest.raises(PrivilegedRole):
        async with app.router.lifespan_context(app):
            pass


async def test_a_pack_that_changed_is_served_without_a_restart(app, api, owner):
    async with owner.transaction() as session:
        await session.execute(text("UPDATE service SET offered = false WHERE code = 'nid-de-poule'"))
        await session.execute(text("UPDATE city SET version = version + 1"))
    try:
        await app.state.serving.cities.refresh(app.state.serving.database)
        codes = [service["service_code"] for service in (await api.get("/v1/services", params=PLATEAU)).json()["items"]]
    finally:
        async with owner.transaction() as session:
            await session.execute(text("UPDATE service SET offered = true WHERE code = 'nid-de-poule'"))

    assert codes
    assert "nid-de-poule" not in codes


def test_the_numbers_of_sibling_processes_are_added_up(tmp_path):
    count_one = "from api.metrics import Metrics; m = Metrics(); m.count_report(result='opened'); print(m.render(None))"
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    first, second = (
        subprocess.run([sys.executable, "-c", count_one], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    )

    assert 'jalon_reports_total{result="opened"} 1.0' in first.stdout
    assert 'jalon_reports_total{result="opened"} 2.0' in second.stdout
