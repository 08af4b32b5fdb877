"""The server's role may do what the code does, and no more."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# What the first migration granted and nothing in the code uses. Erasing a person needs DELETE on few tables only:
# those that hold what the person said (report_personal, event_note), and photos.
UNUSED = {
    "UPDATE, DELETE": ["report_home", "photo_claim"],
    "UPDATE": ["credential"],
    "DELETE": [
        "issue",
        "report",
        "report_photo",
        "work_order",
        "work_order_issue",
        "work_order_photo",
        "staff",
        "notice",
        "notification",
        "delivery",
    ],
}


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for rights, tables in UNUSED.items():
        op.execute(f"REVOKE {rights} ON {', '.join(tables)} FROM jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for rights, tables in UNUSED.items():
        op.execute(f"GRANT {rights} ON {', '.join(tables)} TO jalon_app")
