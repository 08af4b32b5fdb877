"""The key file of a service account that signs in at the stand-in for Firebase."""

import json
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from db.private_files import write_private


def write_credentials(path: Path, base_url: str, *, project: str = "jalon-demo") -> dict[str, Any]:
    """Write a service account's key file (readable by its owner alone) that signs in at a stand-in.

    The key of an existing file is kept, so that whoever read it before can go on.

    Args:
        path: Where to write; its folder exists.
        base_url: Where the stand-in listens, such as ``http://127.0.0.1:8085``.
        project: The Firebase project in it.

    Returns:
        The content of the file.
    """
    try:
        account: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        account = _new_account(project)
    account["token_uri"] = f"{base_url}/token"
    write_private(path, json.dumps(account, indent=2))
    return account


def _new_account(project: str) -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": secrets.token_hex(20),
        "private_key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "client_email": f"push@{project}.iam.gserviceaccount.com",
        "client_id": str(secrets.randbelow(10**21)),
    }


def public_key_of(account: dict[str, Any]) -> rsa.RSAPublicKey:
    """Take from a key file what checks the account's signatures."""
    key = serialization.load_pem_private_key(account["private_key"].encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a service account signs with an RSA key")
    return key.public_key()
