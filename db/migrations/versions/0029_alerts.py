"""Public alerts, and the topics that most devices hear of them by."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.tenancy import Access, guard_table

revision: str = "0029"
down_revision: str | None = "0028"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "alert",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("district", sa.Text(), nullable=True),
        sa.Column("title_fr", sa.Text(), nullable=False),
        sa.Column("title_en", sa.Text(), nullable=False),
        sa.Column("text_fr", sa.Text(), nullable=False),
        sa.Column("text_en", sa.Text(), nullable=False),
        sa.Column("safety", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.Text(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_through", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_alert")),
    )
    op.create_index("ix_alert_current", "alert", ["city_id", "expires_at"])
    op.create_table(
        "topic",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_topic")),
        sa.UniqueConstraint("city_id", "name", name=op.f("uq_topic_city_id_name")),
    )
    op.create_table(
        "topic_member",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('joining', 'joined', 'leaving', 'refused')", name=op.f("ck_topic_member_state")),
        sa.ForeignKeyConstraint(
            ["city_id", "topic_id"],
            ["topic.city_id", "topic.id"],
            name=op.f("fk_topic_member_city_id_topic_id_topic"),
        ),
        sa.PrimaryKeyConstraint("city_id", "topic_id", "address", name=op.f("pk_topic_member")),
    )
    op.create_index("ix_topic_member_person", "topic_member", ["city_id", "person_id"])
    op.create_index(
        "ix_topic_member_due",
        "topic_member",
        ["city_id", "topic_id", "due_at"],
        postgresql_where=sa.text("state IN ('joining', 'leaving')"),
    )
    for table in ("alert", "topic", "topic_member"):
        for statement in guard_table(table, Access.TENANT):
            op.execute(statement)
    op.execute("REVOKE DELETE ON alert, topic FROM jalon_app")
    op.execute("REVOKE UPDATE ON topic FROM jalon_app")
    op.drop_constraint(op.f("ck_subscription_place"), "subscription")
    op.create_check_constraint(
        op.f("ck_subscription_place"),
        "subscription",
        "num_nonnulls(district, area) = 1 OR num_nonnulls(district, area) = 0 AND kinds = '{alert}'",
    )
    op.create_index(
        "ix_subscription_alerts",
        "subscription",
        ["city_id", "person_id"],
        postgresql_where=sa.text("'alert' = ANY (kinds)"),
    )


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_subscription_alerts", table_name="subscription")
    op.execute("DELETE FROM subscription WHERE kinds = '{alert}'")
    op.execute("UPDATE subscription SET kinds = array_remove(kinds, 'alert') WHERE 'alert' = ANY (kinds)")
    op.drop_constraint(op.f("ck_subscription_place"), "subscription")
    op.create_check_constraint(op.f("ck_subscription_place"), "subscription", "(district IS NULL) <> (area IS NULL)")
    for table in ("topic_member", "topic", "alert"):
        op.drop_table(table)
