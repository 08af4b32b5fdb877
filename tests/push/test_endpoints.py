"""Where pushes may be posted, and where not."""

import pytest

from push.endpoints import EndpointRefused, endpoint_origin, is_public


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", "https://fcm.googleapis.com"),
        ("https://Updates.Push.Services.Mozilla.com/wpush/v2/x?y=1", "https://updates.push.services.mozilla.com"),
        ("https://ntfy.example.net:8443/up", "https://ntfy.example.net:8443"),
        ("https://ntfy.example.net:443/up", "https://ntfy.example.net"),
        ("https://1.1.1.1/up", "https://1.1.1.1"),
        ("https://[2606:4700:4700::1111]:8443/up", "https://[2606:4700:4700::1111]:8443"),
    ],
)
def test_the_origin_of_an_endpoint_is_scheme_host_and_unusual_port(url, origin):
    assert endpoint_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        *("", "push", "/push", "https://", "https:///push", "https://push.example.net:port/", "https://[::1"),
        *("http://push.example.net/", "ftp://push.example.net/", "file:///etc/passwd", "https://a@push.example.net/"),
        *("https://push.example.net/#part", "https://push.example.net/a b", "https://push.example.net/\n"),
        *("https://pöst.example.net/", "https://localhost/", "https://postgres/", "https://printer.local/"),
        *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f.0.0.0x1/", "https://10.0.0.8/"),
        *("https://169.254.169.254/latest", "https://[::1]/", "https://[fd00::1]/", "https://[::ffff:10.0.0.8]/"),
    ],
)
def test_what_leads_to_no_push_service_is_refused(url):
    with pytest.raises(EndpointRefused):
        endpoint_origin(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/push/1", "https://ntfy/up", "http://10.0.0.8/up"])
def test_for_trials_machines_of_ones_own_network_may_be_endpoints(url):
    assert url.startswith(endpoint_origin(url, allow_private=True))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *((address, True) for address in ("1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101")),
        *((address, False) for address in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1")),
        *((address, False) for address in ("169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255")),
        *((address, False) for address in ("::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1")),
        *((address, False) for address in ("64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::1")),
    ],
)
def test_an_address_is_of_the_internet_or_not(address, public):
    assert is_public(address) is public
