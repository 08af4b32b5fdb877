"""Who hears what, and when: subscriptions to places, and what people wish of all that is told to them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geometry
from sqlalchemy.dialects import postgresql

from db.base import Xid8
from db.tenancy import Access, guard_table

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_STATES = "state IN ('queued', 'sent', 'forgotten', 'dead', 'expired', 'superseded'{more})"
# Searched by place, hence through a view with its owner's rights; see `issue_map`.
_MAP = """
CREATE VIEW subscription_map AS
SELECT city_id, id, person_id, area, services, kinds, created_at FROM subscription
WHERE city_id = NULLIF(current_setting('jalon.city_id', true), '')::integer
"""


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("service", sa.Column("safety", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "preference",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("wishes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_preference")),
    )
    op.create_table(
        "feed_reader",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("xid", Xid8(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("city_id", "name", name=op.f("pk_feed_reader")),
    )
    op.create_geospatial_table(
        "subscription",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("district", sa.Text(), nullable=True),
        sa.Column("area", Geometry(geometry_type="POLYGON", srid=4326, spatial_index=False), nullable=True),
        sa.Column("drawn", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("services", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(district IS NULL) <> (area IS NULL)", name=op.f("ck_subscription_place")),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_subscription")),
    )
    op.create_index("ix_subscription_person", "subscription", ["city_id", "person_id"])
    op.create_index(
        "ix_subscription_district",
        "subscription",
        ["city_id", "district", "person_id"],
        postgresql_where=sa.text("area IS NULL"),
    )
    op.create_index("ix_subscription_area", "subscription", ["city_id", "area"], postgresql_using="gist")
    op.execute(_MAP)
    for table, access in (
        ("preference", Access.GLOBAL),
        ("feed_reader", Access.TENANT),
        ("subscription", Access.TENANT),
    ):
        for statement in guard_table(table, access):
            op.execute(statement)
    op.execute("REVOKE DELETE ON feed_reader FROM jalon_app")
    op.execute("GRANT SELECT ON subscription_map TO jalon_app")
    op.add_column(
        "notification",
        sa.Column("turn_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("notification", sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    for name in ("quiet_from", "quiet_until"):
        op.add_column("notification", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("ck_delivery_state"), "delivery")
    op.create_check_constraint(op.f("ck_delivery_state"), "delivery", _STATES.format(more=", 'held', 'bundled'"))
    op.create_index(
        "ix_delivery_held",
        "delivery",
        ["city_id", "due_at", "device_id"],
        postgresql_where=sa.text("state = 'held'"),
    )


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_delivery_held", table_name="delivery")
    op.execute("UPDATE delivery SET state = 'queued' WHERE state = 'held'")
    op.execute("UPDATE delivery SET state = 'superseded' WHERE state = 'bundled'")
    op.drop_constraint(op.f("ck_delivery_state"), "delivery")
    op.create_check_constraint(op.f("ck_delivery_state"), "delivery", _STATES.format(more=""))
    for name in ("quiet_until", "quiet_from", "held", "turn_at"):
        op.drop_column("notification", name)
    op.execute("DROP VIEW subscription_map")
    for table in ("subscription", "feed_reader", "preference"):
        op.drop_table(table)
    op.drop_column("service", "safety")
