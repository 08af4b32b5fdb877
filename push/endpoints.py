"""Which URLs pushes may be posted to: devices name them, so anybody may name any, also a machine behind our wall."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

# Addresses of IPv6 that stand for one of IPv4, in their last 32 bits (RFC 6052).
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_PORTS: Final = {"https": 443, "http": 80}


class EndpointRefused(ValueError):
    """Nothing is posted to this URL."""


def endpoint_origin(url: str, *, allow_private: bool = False) -> str:
    """Read whose endpoint a URL is: scheme, host, and the port where it is not the usual one.

    Args:
        url: As the device gave it.
        allow_private: Also without TLS, and on machines that the Internet does not know.

    Raises:
        EndpointRefused: it is none, or leads where no push service is. A name may still resolve to such a place: see
            `is_public`.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise EndpointRefused
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise EndpointRefused from error
    usual = _PORTS.get(parts.scheme)
    if usual is None or not host or "@" in parts.netloc or parts.fragment:
        raise EndpointRefused
    if not allow_private and (parts.scheme != "https" or not _is_public_host(host)):
        raise EndpointRefused
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" if port in (None, usual) else f"{parts.scheme}://{shown}:{port}"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the Internet: no machine's own, no local network's, no group's."""
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        if found.teredo is not None:
            return False
        inside = found.ipv4_mapped or found.sixtofour
        if found in _TRANSLATED:
            inside = IPv4Address(int(found) & 0xFFFFFFFF)
        if inside is not None:
            found = inside
    return found.is_global and not found.is_multicast


def _is_public_host(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        # A name without a dot is one of the local network. One that ends in digits is an address in a strange form,
        # such as 127.1, which the system would read as 127.0.0.1.
        last = host.rstrip(".").rpartition(".")
        return bool(last[0]) and not last[2][:1].isdigit() and last[2] not in ("localhost", "local", "internal")
