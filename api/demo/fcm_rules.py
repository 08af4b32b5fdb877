"""What FCM checks in a message before it takes it, as its reference says."""

import re
from typing import Any

_TARGETS = ("fid", "token", "topic", "condition")
_FIELDS = {*_TARGETS, "name", "data", "notification", "android", "apns", "webpush", "fcm_options"}
_PAYLOAD_LIMIT_BYTES = 4096
_TTL = re.compile(r"\d+(\.\d{1,9})?s")
_TTL_LIMIT_S = 28 * 24 * 3600
# A push service's topic (RFC 8030, section 5.4), and APNs' limit for its collapse id.
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_APNS_COLLAPSE_LIMIT_BYTES = 64
_TOPIC_NAME = re.compile(r"[a-zA-Z0-9-_.~%]{1,900}")
# Names that FCM itself uses in what a phone receives.
_RESERVED = re.compile(r"from|message_type|google\..*|gcm\..*|google|gcm")


def topic_violation_of(name: str) -> str | None:
    """Say what is wrong with the name of a topic; None where FCM would take it."""
    return None if _TOPIC_NAME.fullmatch(name) else "Invalid topic name."


def violation_of(envelope: Any) -> str | None:
    """Say what is wrong with the body of a ``messages:send``; None where FCM would take it."""
    if not isinstance(envelope, dict) or not isinstance(envelope.get("message"), dict):
        return "The message is not set."
    message = envelope["message"]
    unknown = set(message) - _FIELDS
    if unknown:
        return f"Invalid JSON payload received. Unknown name \"{min(unknown)}\" at 'message': Cannot find field."
    targets = [target for target in _TARGETS if target in message]
    if len(targets) != 1:
        return "Exactly one of fid, token, topic or condition is required."
    if not isinstance(message[targets[0]], str) or not message[targets[0]]:
        return f"Invalid value at 'message.{targets[0]}'."
    if targets[0] == "topic" and (violation := topic_violation_of(message["topic"])) is not None:
        return violation
    return _data_violation(message.get("data", {})) or _size_violation(message) or _platform_violation(message)


def _data_violation(data: Any) -> str | None:
    if not isinstance(data, dict):
        return "Invalid value at 'message.data'."
    for key, value in data.items():
        if not isinstance(value, str):
            return f"Invalid value at 'message.data[{key}]' (TYPE_STRING)."
        if _RESERVED.fullmatch(key):
            return f"Invalid data payload key: {key}"
    return None


def _size_violation(message: dict[str, Any]) -> str | None:
    payload = [message.get("notification", {}), message.get("data", {})]
    size = sum(len(str(text).encode()) for part in payload for item in part.items() for text in item)
    return "Android message is too big" if size > _PAYLOAD_LIMIT_BYTES else None


def _platform_violation(message: dict[str, Any]) -> str | None:
    ttl = message.get("android", {}).get("ttl", "0s")
    if not isinstance(ttl, str) or not _TTL.fullmatch(ttl) or float(ttl[:-1]) > _TTL_LIMIT_S:
        return "Invalid value at 'message.android.ttl' (DURATION)."
    collapse_id = message.get("apns", {}).get("headers", {}).get("apns-collapse-id", "")
    if len(collapse_id.encode()) > _APNS_COLLAPSE_LIMIT_BYTES:
        return "Invalid value at 'message.apns.headers': apns-collapse-id is too long."
    topic = message.get("webpush", {}).get("headers", {}).get("Topic", "a")
    if not _TOPIC.fullmatch(topic):
        return "Invalid value at 'message.webpush.headers': Topic."
    return None
