"""Reports that their senders correct or take back."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geography

from db.tenancy import Access, guard_table

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.add_column("report", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.create_geospatial_table(
        "report_correction",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column(
            "place",
            Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
            ),
            nullable=True,
        ),
        sa.Column("accuracy_m", sa.Double(), nullable=True),
        sa.Column("location_source", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "event_id"],
            ["event.city_id", "event.id"],
            name=op.f("fk_report_correction_city_id_event_id_event"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "report_id"],
            ["report.city_id", "report.id"],
            name=op.f("fk_report_correction_city_id_report_id_report"),
        ),
        sa.PrimaryKeyConstraint("city_id", "event_id", name=op.f("pk_report_correction")),
    )
    op.create_index(
        "ix_report_correction_city_id_report_id", "report_correction", ["city_id", "report_id"], unique=False
    )
    for statement in guard_table("report_correction", Access.TENANT):
        op.execute(statement)
    # What somebody said may be erased, and never changed.
    op.execute("REVOKE UPDATE ON report_correction FROM jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_table("report_correction")
    op.drop_column("report", "withdrawn_at")
