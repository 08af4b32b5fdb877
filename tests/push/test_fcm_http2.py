"""FCM over TLS and HTTP/2, as Google serves it: to the library as it comes, and to ours, which asks for HTTP/1.1."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import firebase_admin
import pytest
import pytest_asyncio
import trustme
from firebase_admin import credentials, exceptions, messaging
from hypercorn.asyncio import serve
from hypercorn.config import Config

from api.demo.fcm_account import public_key_of, write_credentials
from api.demo.fcm_standin import Fault, FcmStandIn
from push.channels import Outcome
from push.fcm import FcmChannel, fcm_message
from tests.push.test_fcm import a_message


@dataclass
class Served:
    """The stand-in behind TLS, and which version of HTTP each of its messages came by."""

    url: str
    account: dict
    stand_in: FcmStandIn
    versions: list[str] = field(default_factory=list)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"].endswith("messages:send"):
            self.versions.append(scope["http_version"])
        await self.stand_in.app(scope, receive, send)


@pytest.fixture
def served(tmp_path, monkeypatch) -> Iterator[Served]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):  # where httpx looks, and where requests does
        monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    config = Config()
    config.certfile = config.keyfile = str(tmp_path / "server.pem")
    config.alpn_protocols = ["h2", "http/1.1"]
    config.errorlog = None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}"
        config.bind = [f"fd://{listening.detach()}"]
    account = write_credentials(tmp_path / "fcm.json", url)
    found = Served(url, account, FcmStandIn(public_key_of(account), email=account["client_email"]))
    with serving(found, config):
        yield found


@contextmanager
def serving(app: Served, config: Config) -> Iterator[None]:
    """Serve in a thread: the library signs in with the event loop standing still."""
    loop = asyncio.new_event_loop()
    over = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve(app, config, shutdown_trigger=over.wait)])
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest_asyncio.fixture
async def library(served) -> AsyncIterator[firebase_admin.App]:
    """The library with an HTTP/2 client of its own; only the address is the stand-in's."""
    certificate = credentials.Certificate(served.account)
    app = firebase_admin.initialize_app(certificate, {"projectId": certificate.project_id}, name=str(uuid4()))
    service = messaging._get_messaging_service(app)
    service._fcm_url = f"{served.url}/v1/projects/{certificate.project_id}/messages:send"
    yield app
    await service._async_client.aclose()
    await asyncio.to_thread(firebase_admin.delete_app, app)


async def test_the_library_signs_in_and_sends_many_at_once_by_http_2(served, library):
    batch = [fcm_message(a_message(f"phone-{n}")) for n in range(50)]

    answer = await messaging.send_each_async(batch, app=library)

    names = {push.address: push.name for push in served.stand_in.attempts}
    assert [response.message_id for response in answer.responses] == [names[f"phone-{n}"] for n in range(50)]
    assert len(served.stand_in.attempts) == 50
    assert served.versions == ["2"] * 50


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("UNREGISTERED", messaging.UnregisteredError),
        ("SENDER_ID_MISMATCH", messaging.SenderIdMismatchError),
        ("THIRD_PARTY_AUTH_ERROR", messaging.ThirdPartyAuthError),
        ("INVALID_ARGUMENT", exceptions.InvalidArgumentError),
        ("QUOTA_EXCEEDED", messaging.QuotaExceededError),
    ],
)
async def test_the_library_reads_each_refusal(served, library, code, error):
    served.stand_in.fail(Fault(code, count=None))

    answer = await messaging.send_each_async([fcm_message(a_message())], app=library)

    assert type(answer.responses[0].exception) is error
    assert set(served.versions) == {"2"}


async def test_ours_sends_over_tls_once_each(served, clock):
    channel = FcmChannel(served.account, url=served.url)
    served.stand_in.fail(Fault("UNREGISTERED", address="phone-1"))

    results = await channel.send([a_message(f"phone-{n}") for n in range(20)], clock.window())
    await channel.close()

    assert [result.outcome for result in results] == [Outcome.FORGET if n == 1 else Outcome.SENT for n in range(20)]
    assert served.versions == ["1.1"] * 20


async def test_ours_trusts_nobody_whom_the_machine_does_not_trust(served, clock, monkeypatch, tmp_path):
    channel = FcmChannel(served.account, url=served.url)
    await channel.send([a_message()], clock.window())
    await channel.close()
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger))
    distrusting = FcmChannel(served.account, url=served.url)
    distrusting._token = channel._token  # signed in already, so that sending is what fails

    [result] = await distrusting.send([a_message("phone-2")], clock.window())
    await distrusting.close()

    assert result.outcome is Outcome.UNSENT
    assert "Certificate" in (result.error or "")
    assert [push.address for push in served.stand_in.attempts] == ["phone-1"]
