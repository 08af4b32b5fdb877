"""The fixtures of `served`, for every test in this folder."""

from tests.api.served import (
    api,
    app,
    cities,
    database_name,
    hire,
    plain_logs,
    register,
    served_database,
    settings,
    stored,
)

__all__ = [
    "api",
    "app",
    "cities",
    "database_name",
    "hire",
    "plain_logs",
    "register",
    "served_database",
    "settings",
    "stored",
]
