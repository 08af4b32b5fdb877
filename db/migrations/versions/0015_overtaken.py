"""News that later news overtake, fan-out in parts, and how often each channel gave which answer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.tenancy import Access, guard_table

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_STATES = "state IN ('queued', 'sent', 'forgotten', 'dead', 'expired'{more})"


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("notification", sa.Column("about", sa.Uuid(), nullable=True))
    op.add_column(
        "notification",
        sa.Column("happened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index("ix_notification_person", "notification", ["city_id", "person_id", "about", "happened_at", "id"])
    op.drop_constraint(op.f("ck_delivery_state"), "delivery")
    op.create_check_constraint(op.f("ck_delivery_state"), "delivery", _STATES.format(more=", 'superseded'"))
    op.add_column("notice", sa.Column("told_through", sa.Uuid(), nullable=True))
    op.add_column("notice", sa.Column("authors_told", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "push_outcome",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("city_id", "channel", "outcome", name=op.f("pk_push_outcome")),
    )
    for statement in guard_table("push_outcome", Access.TENANT):
        op.execute(statement)
    op.execute("REVOKE DELETE ON push_outcome FROM jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("push_outcome")
    for name in ("authors_told", "told_through"):
        op.drop_column("notice", name)
    op.execute("UPDATE delivery SET state = 'expired' WHERE state = 'superseded'")
    op.drop_constraint(op.f("ck_delivery_state"), "delivery")
    op.create_check_constraint(op.f("ck_delivery_state"), "delivery", _STATES.format(more=""))
    op.drop_index("ix_notification_person", table_name="notification")
    for name in ("happened_at", "about"):
        op.drop_column("notification", name)
