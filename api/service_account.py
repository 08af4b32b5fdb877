"""The key file of a Firebase service account, as far as it can be judged without Google's libraries."""

import json
from pathlib import Path
from typing import Any, Final

_NEEDED: Final = ("project_id", "client_email", "private_key", "token_uri")


class NoServiceAccount(Exception):
    """The file that JALON_FCM_CREDENTIALS names is not what it should be; the message says why, without secrets."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"JALON_FCM_CREDENTIALS: {path} is no service account ({why}).")


def read_service_account(path: Path) -> dict[str, Any]:
    """Read a key file.

    Raises:
        NoServiceAccount: it cannot be read, or is something else.
    """
    try:
        account = json.loads(path.read_bytes())
    except OSError as error:
        raise NoServiceAccount(path, error.strerror or type(error).__name__) from error
    except ValueError:
        raise NoServiceAccount(path, "not JSON") from None  # whose error would hold what the file does
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise NoServiceAccount(path, 'its "type" is not "service_account"')
    missing = [name for name in _NEEDED if not account.get(name)]
    if missing:
        raise NoServiceAccount(path, f"without {', '.join(missing)}")
    return account
