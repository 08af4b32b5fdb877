"""Letters by e-mail, one means after another, and what people say of a repair, by links that are signed."""

from collections.abc import Sequence
from secrets import token_bytes

import sqlalchemy as sa
from alembic import op

from db.tenancy import Access, guard_table

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_STATES = "state IN ('queued', 'sent', 'forgotten', 'dead', 'expired', 'superseded', 'held', 'bundled'{more})"


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "email_address",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_email_address")),
        sa.UniqueConstraint("city_id", "person_id", name=op.f("uq_email_address_city_id_person_id")),
    )
    op.create_index("ix_email_address_address", "email_address", ["city_id", "address"])
    op.create_table(
        "feedback",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("fixed", sa.Boolean(), nullable=False),
        sa.Column("satisfaction", sa.SmallInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("satisfaction BETWEEN 1 AND 5", name=op.f("ck_feedback_satisfaction")),
        sa.ForeignKeyConstraint(
            ["city_id", "event_id"], ["event.city_id", "event.id"], name=op.f("fk_feedback_city_id_event_id_event")
        ),
        sa.PrimaryKeyConstraint("city_id", "event_id", "person_id", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_city_id_issue_id"), "feedback", ["city_id", "issue_id"])
    for table in ("email_address", "feedback"):
        for statement in guard_table(table, Access.TENANT):
            op.execute(statement)
    op.execute("REVOKE DELETE ON feedback FROM jalon_app")
    op.add_column("delivery", sa.Column("fallback", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.drop_constraint(op.f("ck_delivery_state"), "delivery")
    op.create_check_constraint(op.f("ck_delivery_state"), "delivery", _STATES.format(more=", 'unneeded'"))
    keys = sa.table("signing_key", sa.column("purpose", sa.Text()), sa.column("key", sa.LargeBinary()))
    op.bulk_insert(keys, [{"purpose": "taps", "key": token_bytes(32)}])


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DELETE FROM signing_key WHERE purpose = 'taps'")
    op.execute("UPDATE delivery SET state = 'superseded' WHERE state = 'unneeded'")
    op.drop_constraint(op.f("ck_delivery_state"), "delivery")
    op.create_check_constraint(op.f("ck_delivery_state"), "delivery", _STATES.format(more=""))
    op.drop_column("delivery", "fallback")
    for table in ("feedback", "email_address"):
        op.drop_table(table)
