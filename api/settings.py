"""What an operator sets, by variables of the environment named `JALON_...`."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from push.smtp import SmtpServer

_PREFIX = "JALON_"
# Greedy: a password with an @ of its own would otherwise show its second half.
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^:/@]*):.*@")
# After ? and & in a URL, or among the words of a connection string such as "host=db password='a b'".
_SECRET_PARAMETER = re.compile(
    r"""((?:^|[?&;#\s])[\w.-]*(?:pass|pwd|secret|token|key|credential|\bsig\b|signature)[\w.-]*\s*=\s*)"""
    r"""('(?:[^'\\]|\\.)*'?|[^&;#\s]+)""",
    re.IGNORECASE,
)


def default_data_dir(environment: Mapping[str, str], *, is_root: bool) -> Path:
    """Where data goes if nobody says: the system's state folder for root, else the user's own (XDG)."""
    if is_root:
        return Path("/var/lib/jalon")
    home = Path(environment.get("HOME", "/"))
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "jalon"


class Settings(BaseSettings):
    """Everything that is set; made once, in `api`, and passed down as plain values."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: Annotated[
        SecretStr | None,
        Field(
            validation_alias=AliasChoices("JALON_DATABASE_URL", "DATABASE_URL"),
            description="PostgreSQL with PostGIS, as the login that serves; without it, a private cluster",
        ),
    ] = None
    owner_database_url: Annotated[
        SecretStr | None,
        Field(description="The same database, as the owner of the tables, for migrations and city packs"),
    ] = None
    data_dir: Annotated[Path, Field(description="Folder of the private cluster and of the photos")] = Field(
        default_factory=lambda: default_data_dir(os.environ, is_root=os.geteuid() == 0)
    )
    host: Annotated[str, Field(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one")] = 8000
    workers: Annotated[int, Field(ge=1, description="Server processes that share the port")] = 1
    trusted_proxies: Annotated[
        str, Field(description="Addresses and networks whose X-Forwarded-For and -Proto are believed, with commas")
    ] = "127.0.0.1,::1"
    requests_at_once: Annotated[
        int, Field(ge=1, description="Requests that each process answers at the same time; others get 503")
    ] = 500
    uploads_at_once: Annotated[
        int, Field(ge=1, description="Of them, those that bring photos, each with a file on disk as large as a photo")
    ] = 100
    request_stall_s: Annotated[
        float, Field(gt=0, le=300, description="Seconds that a request may keep the server waiting for its bytes")
    ] = 30.0
    database_connections: Annotated[
        int, Field(ge=1, description="Connections that each process keeps; under load as many again")
    ] = 10
    jobs_at_once: Annotated[int, Field(ge=2, description="Jobs that a worker does at the same time")] = 10
    upload_stall_s: Annotated[
        float, Field(gt=0, le=120, description="Seconds without a byte after which a resumable upload is interrupted")
    ] = 10.0
    grace_s: Annotated[
        float, Field(ge=0, description="Seconds that requests and jobs have to finish once told to stop")
    ] = 20.0
    notice_s: Annotated[
        float, Field(ge=0, description="Seconds that /readyz says no before the door closes, for a proxy to notice")
    ] = 0.0
    storage_url: Annotated[
        str | None, Field(description="Where photos are: file:///..., s3://..., gs://..., az://...")
    ] = None
    photo_max_megabytes: Annotated[int, Field(ge=1, le=100, description="Most megabytes of a photo")] = 20
    photo_max_megapixels: Annotated[
        int, Field(ge=1, le=64, description="Most megapixels of a photo; 64 fill its decoder's gigabyte")
    ] = 60
    photos_per_report: Annotated[int, Field(ge=1, le=20, description="Most photos of a report")] = 6
    photos_waiting: Annotated[
        int, Field(ge=1, description="Photos that may wait to be decoded before further ones get 503")
    ] = 10_000
    photos_at_once: Annotated[
        int | None,
        Field(ge=1, description="Photos that a worker decodes at the same time; by default one per processor"),
    ] = None
    fcm_credentials: Annotated[
        Path | None, Field(description="Firebase service account (JSON file); without it, no pushes to phones")
    ] = None
    fcm_url: Annotated[str, Field(description="Base address of Firebase Cloud Messaging")] = (
        "https://fcm.googleapis.com"
    )
    webpush_contact: Annotated[
        str | None,
        Field(
            pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://\S+)$",
            description="mailto: or https: address that push services may write to; without it, no Web Push",
        ),
    ] = None
    webpush_private: Annotated[
        bool, Field(description="Web Push also without TLS and to private addresses: for trials on one network")
    ] = False
    smtp_url: Annotated[
        SecretStr | None,
        Field(description="Where e-mail is handed in: smtp://user:password@host:587 or smtps://...; without it, none"),
    ] = None
    email_from: Annotated[
        str | None,
        Field(pattern=r"^[^<>@\r\n]*<?[^\s<>@]+@[^\s<>@]+>?$", description="Whom e-mail is from: Name <address>"),
    ] = None
    public_url: Annotated[
        str | None,
        Field(pattern=r"^https?://\S+$", description="Where residents reach this server: for e-mail, pushes"),
    ] = None
    geocoder_url: Annotated[
        SecretStr | None,
        Field(
            description="Whom to ask for places that a city's own data do not know: photon+https://..., nominatim+..."
            " or pelias+...?api_key=..."
        ),
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="Least that is logged")] = (
        "info"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: str) -> str:
        """Refuse what is no address: uvicorn would take it for a name, and trust nobody without a word."""
        for proxy in filter(None, map(str.strip, proxies.split(","))):
            ip_network(proxy)
        return proxies

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _database(cls, url: SecretStr | None) -> SecretStr | None:
        """Refuse a URL that a password breaks: what connects would show a piece of it as a host."""
        written = "" if url is None else url.get_secret_value()
        if written.count("@") > 1 and _is_misread(written):
            raise ValueError("reserved characters in a URL's password have to be percent-encoded (@ is %40, / is %2F)")
        return url

    @field_validator("smtp_url")
    @classmethod
    def _smtp(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            SmtpServer.of(url.get_secret_value())
        return url

    @field_validator("geocoder_url")
    @classmethod
    def _geocoder(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            from api.other_geocoders import check_url  # noqa: PLC0415 - its library takes half a second to load

            check_url(url.get_secret_value())
        return url

    @field_validator("data_dir", "fcm_credentials")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @property
    def can_send_email(self) -> bool:
        """Whether all is set that e-mail takes."""
        return None not in (self.smtp_url, self.email_from, self.public_url)

    @property
    def photos_url(self) -> str:
        """Where photos are: as set, or a folder of the data folder."""
        return self.storage_url or (self.data_dir / "photos").as_uri()

    @property
    def photo_max_bytes(self) -> int:
        """Most bytes of a photo."""
        return self.photo_max_megabytes * 1_000_000

    @property
    def photo_max_pixels(self) -> int:
        """Most pixels (width x height) of a photo."""
        return self.photo_max_megapixels * 1_000_000

    @property
    def decoders_at_once(self) -> int:
        """How many photos are decoded at the same time: each takes a processor, and up to a gigabyte."""
        return self.photos_at_once or os.cpu_count() or 1

    @property
    def uses_private_cluster(self) -> bool:
        """Whether nobody named a database."""
        return self.database_url is None


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting as an operator may see it: without secrets."""

    variable: str
    value: str | None
    source: str  # the variable it came from, or "default"
    description: str


def show_settings(settings: Settings, environment: Mapping[str, str]) -> list[ShownSetting]:
    """List every setting with secrets masked, also passwords inside URLs, and where it came from."""
    shown = []
    for name, entry in Settings.model_fields.items():
        alias = entry.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [_PREFIX + name.upper()]
        # Names of variables do not depend on case, as pydantic reads them; the first that is set counts.
        given = {variable.upper(): variable for variable, value in environment.items() if value}
        source = next((given[str(choice)] for choice in choices if str(choice) in given), "default")
        value = _masked(getattr(settings, name))
        shown.append(ShownSetting(str(choices[0]), value, source, entry.description or ""))
    return shown


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """List variables that look like settings but are none: most likely misspelt."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in environment if name.upper().startswith(_PREFIX) and name.upper() not in known)


def mask_url(url: str) -> str:
    """Hide passwords, keys and tokens in a URL or connection string, if there are any."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1:***@", url))


def _is_misread(database_url: str) -> bool:
    """Whether what follows the first @ of a password is taken for a host, or for a host and a database."""
    from sqlalchemy import make_url  # noqa: PLC0415 - takes a while to load
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        there = make_url(database_url)
    except (ArgumentError, ValueError):
        return True
    return any("@" in part and part in database_url for part in (there.host or "", there.database or ""))


def _masked(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return mask_url(value.get_secret_value())
    return mask_url(str(value))
