"""The tables of a city."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from geoalchemy2 import Geography, Geometry
from sqlalchemy.dialects import postgresql

from db.base import Xid8
from db.jobs import job_schema, job_schema_removal
from db.tenancy import Access, guard_table

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

ACCESS = {
    Access.GLOBAL: ["credential", "device", "photo", "photo_claim", "report_home"],
    Access.REFERENCE: [
        "layer",
        "district",
        "neighbour",
        "street",
        "address",
        "service",
        "department",
        "crew",
        "route",
    ],
    Access.TENANT: [
        "issue",
        "report",
        "report_personal",
        "report_photo",
        "work_order",
        "work_order_issue",
        "work_order_photo",
        "follow",
        "staff",
        "event_note",
        "notice",
        "notification",
        "delivery",
    ],
    Access.APPEND_ONLY: ["event"],
}
ISSUE_MAP = """
CREATE VIEW issue_map AS
SELECT city_id, id, number, service_code, status, place, accuracy_m, address, layer, district_code, districts,
       department_code, crew_code, near_boundary, private, report_count, opened_at, last_report_at, updated_at,
       expected_at, merged_into
FROM issue
WHERE city_id = NULLIF(current_setting('jalon.city_id', true), '')::integer
"""


def upgrade() -> None:
    """Apply."""
    # A migration that cannot get its lock gives up rather than stop the city behind it.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_geospatial_table(
        "city",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("jurisdiction_id", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column(
            "outline",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("pack_sha256", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_city")),
        sa.UniqueConstraint("jurisdiction_id", name=op.f("uq_city_jurisdiction_id")),
    )
    op.create_table(
        "credential",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("city_id", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('device', 'staff', 'key')", name=op.f("ck_credential_kind")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_credential")),
    )
    op.create_index(op.f("ix_credential_subject"), "credential", ["subject"], unique=False)
    op.create_table(
        "device",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("push_kind", sa.Text(), nullable=True),
        sa.Column("push_address", sa.Text(), nullable=True),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("platform IN ('android', 'ios', 'web')", name=op.f("ck_device_platform")),
        sa.CheckConstraint("push_kind IN ('fid', 'token')", name=op.f("ck_device_push_kind")),
        sa.CheckConstraint("(push_kind IS NULL) = (push_address IS NULL)", name=op.f("ck_device_push_address")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
    )
    op.create_index("ix_device_person_id", "device", ["person_id"], unique=False)
    op.create_index("uq_device_push_address", "device", ["push_kind", "push_address"], unique=True)
    op.create_table(
        "notification",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_notification")),
        sa.UniqueConstraint(
            "city_id", "event_id", "person_id", name=op.f("uq_notification_city_id_event_id_person_id")
        ),
    )
    op.create_geospatial_table(
        "photo",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("uploader", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column(
            "taken_place",
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
        sa.Column("taken_accuracy_m", sa.Double(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dhash", sa.BigInteger(), nullable=True),
        sa.Column("large_key", sa.Text(), nullable=True),
        sa.Column("small_key", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'ready', 'rejected')", name=op.f("ck_photo_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photo")),
    )
    op.create_index("ix_photo_sha256", "photo", ["sha256"], unique=False)
    op.create_table(
        "photo_claim",
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("photo_id", "sender", name=op.f("pk_photo_claim")),
    )
    op.create_table(
        "report_home",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("tracking_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report_home")),
    )
    op.create_geospatial_table(
        "address",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("street", sa.Text(), nullable=False),
        sa.Column(
            "place",
            Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_address_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_address")),
    )
    op.create_index("ix_address_city_id_place", "address", ["city_id", "place"], unique=False, postgresql_using="gist")
    op.create_table(
        "delivery",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'forgotten', 'dead', 'expired')", name=op.f("ck_delivery_state")
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "notification_id"],
            ["notification.city_id", "notification.id"],
            name=op.f("fk_delivery_city_id_notification_id_notification"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_delivery")),
        sa.UniqueConstraint(
            "city_id", "notification_id", "device_id", name=op.f("uq_delivery_city_id_notification_id_device_id")
        ),
    )
    op.create_index(
        "ix_delivery_in_flight",
        "delivery",
        ["city_id", "device_id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued' AND lease IS NOT NULL"),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["city_id", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "department",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_department_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "code", name=op.f("pk_department")),
    )
    op.create_table(
        "layer",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("responsible", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_layer_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "code", name=op.f("pk_layer")),
    )
    op.create_geospatial_table(
        "neighbour",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "outline",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_neighbour_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "code", name=op.f("pk_neighbour")),
    )
    op.create_table(
        "service",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("group_code", sa.Text(), nullable=False),
        sa.Column("group_names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("keywords", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("siblings", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("radius_m", sa.Double(), nullable=False),
        sa.Column("window_days", sa.Integer(), nullable=False),
        sa.Column("join_threshold", sa.Double(), nullable=False),
        sa.Column("joins", sa.Text(), nullable=False),
        sa.Column("deadline_days", sa.Integer(), nullable=False),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("offered", sa.Boolean(), nullable=False),
        sa.CheckConstraint("joins IN ('automatic', 'ask', 'never')", name=op.f("ck_service_joins")),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_service_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "code", name=op.f("pk_service")),
    )
    op.create_geospatial_table(
        "street",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "line",
            Geography(
                geometry_type="LINESTRING",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_street_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_street")),
    )
    op.create_index("ix_street_city_id_line", "street", ["city_id", "line"], unique=False, postgresql_using="gist")
    op.create_table(
        "crew",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("department_code", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "department_code"],
            ["department.city_id", "department.code"],
            name=op.f("fk_crew_city_id_department_code_department"),
        ),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_crew_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "code", name=op.f("pk_crew")),
    )
    op.create_geospatial_table(
        "district",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "polygon",
            Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "layer"],
            ["layer.city_id", "layer.code"],
            name=op.f("fk_district_city_id_layer_layer"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("city_id", "layer", "code", "valid_from", name=op.f("pk_district")),
    )
    op.create_geospatial_index(
        "ix_district_polygon", "district", ["polygon"], unique=False, postgresql_using="gist", postgresql_ops={}
    )
    op.create_geospatial_table(
        "issue",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column(
            "place",
            Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("accuracy_m", sa.Double(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("layer", sa.Text(), nullable=True),
        sa.Column("district_code", sa.Text(), nullable=True),
        sa.Column("districts", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("department_code", sa.Text(), nullable=False),
        sa.Column("crew_code", sa.Text(), nullable=True),
        sa.Column("near_boundary", sa.Boolean(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("report_count", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_report_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "status IN ('received', 'acknowledged', 'scheduled', 'in_progress', 'resolved', 'closed', 'declined', 'transferred')",
            name=op.f("ck_issue_status"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "department_code"],
            ["department.city_id", "department.code"],
            name=op.f("fk_issue_city_id_department_code_department"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "service_code"],
            ["service.city_id", "service.code"],
            name=op.f("fk_issue_city_id_service_code_service"),
        ),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_issue_city_id_city")),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_issue")),
    )
    op.create_index("ix_issue_city_id_updated_at", "issue", ["city_id", "updated_at", "id"], unique=False)
    op.create_index("ix_issue_status", "issue", ["city_id", "status", "service_code", "id"], unique=False)
    op.create_index(
        "ix_issue_merged_into",
        "issue",
        ["city_id", "merged_into"],
        unique=False,
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.create_index("ix_issue_districts", "issue", ["districts"], unique=False, postgresql_using="gin")
    op.create_index(
        "ix_issue_map",
        "issue",
        ["city_id", sa.literal_column("(place::geometry)")],
        unique=False,
        postgresql_using="gist",
    )
    op.create_index(
        "ix_issue_open_place",
        "issue",
        ["city_id", "service_code", "place"],
        unique=False,
        postgresql_using="gist",
        postgresql_where=sa.text(
            "status IN ('received', 'acknowledged', 'scheduled', 'in_progress') AND merged_into IS NULL"
        ),
    )
    op.create_table(
        "event",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("undoes", sa.Uuid(), nullable=True),
        sa.Column("cause", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "issue_id"], ["issue.city_id", "issue.id"], name=op.f("fk_event_city_id_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_city_id_issue_id", "event", ["city_id", "issue_id", "seq"], unique=False)
    op.create_index("ix_event_city_id_xid", "event", ["city_id", "xid", "seq"], unique=False)
    op.create_table(
        "follow",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("following", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "issue_id"], ["issue.city_id", "issue.id"], name=op.f("fk_follow_city_id_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("city_id", "issue_id", "person_id", name=op.f("pk_follow")),
    )
    op.create_index("ix_follow_person_id", "follow", ["city_id", "person_id"], unique=False)
    op.create_table(
        "report",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("location_source", sa.Text(), nullable=False),
        sa.Column("accuracy_m", sa.Double(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("near_boundary", sa.Boolean(), nullable=False),
        sa.Column("match", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "channel IN ('app', 'web', 'phone', 'counter', 'email', 'open311', 'import')",
            name=op.f("ck_report_channel"),
        ),
        sa.CheckConstraint(
            "location_source IN ('gps', 'photo', 'address', 'map')", name=op.f("ck_report_location_source")
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "issue_id"], ["issue.city_id", "issue.id"], name=op.f("fk_report_city_id_issue_id_issue")
        ),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_report")),
        sa.UniqueConstraint("city_id", "number", name=op.f("uq_report_city_id_number")),
    )
    op.create_index("ix_report_city_id_issue_id", "report", ["city_id", "issue_id"], unique=False)
    op.create_table(
        "route",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("service_code", sa.Text(), nullable=True),
        sa.Column("group_code", sa.Text(), nullable=True),
        sa.Column("layer", sa.Text(), nullable=True),
        sa.Column("district_code", sa.Text(), nullable=True),
        sa.Column("department_code", sa.Text(), nullable=False),
        sa.Column("crew_code", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "crew_code"], ["crew.city_id", "crew.code"], name=op.f("fk_route_city_id_crew_code_crew")
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "department_code"],
            ["department.city_id", "department.code"],
            name=op.f("fk_route_city_id_department_code_department"),
        ),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_route_city_id_city"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("city_id", "position", name=op.f("pk_route")),
    )
    op.create_table(
        "staff",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("crew_code", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(role = 'crew') = (crew_code IS NOT NULL)", name=op.f("ck_staff_crew_code")),
        sa.CheckConstraint("role IN ('crew', 'agent', 'manager', 'admin')", name=op.f("ck_staff_role")),
        sa.ForeignKeyConstraint(
            ["city_id", "crew_code"], ["crew.city_id", "crew.code"], name=op.f("fk_staff_city_id_crew_code_crew")
        ),
        sa.ForeignKeyConstraint(["city_id"], ["city.id"], name=op.f("fk_staff_city_id_city")),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_staff")),
    )
    op.create_geospatial_table(
        "work_order",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("crew_code", sa.Text(), nullable=False),
        sa.Column("planned_on", sa.Date(), nullable=False),
        sa.Column("tour_position", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "place",
            Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("layer", sa.Text(), nullable=True),
        sa.Column("district_code", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('planned', 'in_progress', 'done', 'cancelled')", name=op.f("ck_work_order_status")
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "crew_code"], ["crew.city_id", "crew.code"], name=op.f("fk_work_order_city_id_crew_code_crew")
        ),
        sa.PrimaryKeyConstraint("city_id", "id", name=op.f("pk_work_order")),
    )
    op.create_index(
        "ix_work_order_day", "work_order", ["city_id", "crew_code", "planned_on", "tour_position", "id"], unique=False
    )
    op.create_index(
        "ix_work_order_planned_on",
        "work_order",
        ["city_id", "planned_on", "crew_code", "tour_position", "id"],
        unique=False,
    )
    op.create_table(
        "event_note",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "event_id"], ["event.city_id", "event.id"], name=op.f("fk_event_note_city_id_event_id_event")
        ),
        sa.PrimaryKeyConstraint("city_id", "event_id", name=op.f("pk_event_note")),
    )
    op.create_table(
        "notice",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "event_id"], ["event.city_id", "event.id"], name=op.f("fk_notice_city_id_event_id_event")
        ),
        sa.PrimaryKeyConstraint("city_id", "event_id", name=op.f("pk_notice")),
    )
    op.create_geospatial_table(
        "report_personal",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column(
            "place",
            Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("address_string", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["city_id", "report_id"],
            ["report.city_id", "report.id"],
            name=op.f("fk_report_personal_city_id_report_id_report"),
        ),
        sa.PrimaryKeyConstraint("city_id", "report_id", name=op.f("pk_report_personal")),
    )
    op.create_table(
        "report_photo",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "report_id"],
            ["report.city_id", "report.id"],
            name=op.f("fk_report_photo_city_id_report_id_report"),
        ),
        sa.PrimaryKeyConstraint("city_id", "report_id", "position", name=op.f("pk_report_photo")),
    )
    op.create_index("ix_report_photo_photo_id", "report_photo", ["photo_id"], unique=False)
    op.create_table(
        "work_order_issue",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "issue_id"],
            ["issue.city_id", "issue.id"],
            name=op.f("fk_work_order_issue_city_id_issue_id_issue"),
        ),
        sa.ForeignKeyConstraint(
            ["city_id", "work_order_id"],
            ["work_order.city_id", "work_order.id"],
            name=op.f("fk_work_order_issue_city_id_work_order_id_work_order"),
        ),
        sa.PrimaryKeyConstraint("city_id", "work_order_id", "issue_id", name=op.f("pk_work_order_issue")),
    )
    op.create_index("ix_work_order_issue_city_id_issue_id", "work_order_issue", ["city_id", "issue_id"], unique=False)
    op.create_table(
        "work_order_photo",
        sa.Column("city_id", sa.Integer(), nullable=False),
        sa.Column("work_order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["city_id", "work_order_id"],
            ["work_order.city_id", "work_order.id"],
            name=op.f("fk_work_order_photo_city_id_work_order_id_work_order"),
        ),
        sa.PrimaryKeyConstraint("city_id", "work_order_id", "position", name=op.f("pk_work_order_photo")),
    )
    op.create_index("ix_work_order_photo_photo_id", "work_order_photo", ["photo_id"], unique=False)
    op.execute(ISSUE_MAP)
    op.execute("GRANT SELECT ON issue_map TO jalon_app")
    op.execute("GRANT SELECT ON alembic_version TO jalon_app")
    op.execute("GRANT SELECT ON city TO jalon_app")
    for access, tables in ACCESS.items():
        for table in tables:
            for statement in guard_table(table, access):
                op.execute(statement)
    for statement in job_schema():
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP VIEW issue_map")
    for statement in job_schema_removal():
        op.execute(statement)
    op.drop_index("ix_work_order_photo_photo_id", table_name="work_order_photo")
    op.drop_table("work_order_photo")
    op.drop_index("ix_work_order_issue_city_id_issue_id", table_name="work_order_issue")
    op.drop_table("work_order_issue")
    op.drop_index("ix_report_photo_photo_id", table_name="report_photo")
    op.drop_table("report_photo")
    op.drop_geospatial_table("report_personal")
    op.drop_table("notice")
    op.drop_table("event_note")
    op.drop_index("ix_work_order_planned_on", table_name="work_order")
    op.drop_index("ix_work_order_day", table_name="work_order")
    op.drop_geospatial_table("work_order")
    op.drop_table("staff")
    op.drop_table("route")
    op.drop_index("ix_report_city_id_issue_id", table_name="report")
    op.drop_table("report")
    op.drop_index("ix_follow_person_id", table_name="follow")
    op.drop_table("follow")
    op.drop_index("ix_event_city_id_xid", table_name="event")
    op.drop_index("ix_event_city_id_issue_id", table_name="event")
    op.drop_table("event")
    op.drop_index(
        "ix_issue_open_place",
        table_name="issue",
        postgresql_using="gist",
        postgresql_where=sa.text(
            "status IN ('received', 'acknowledged', 'scheduled', 'in_progress') AND merged_into IS NULL"
        ),
    )
    op.drop_index("ix_issue_map", table_name="issue", postgresql_using="gist")
    op.drop_index("ix_issue_status", table_name="issue")
    op.drop_index("ix_issue_merged_into", table_name="issue", postgresql_where=sa.text("merged_into IS NOT NULL"))
    op.drop_index("ix_issue_districts", table_name="issue", postgresql_using="gin")
    op.drop_index("ix_issue_city_id_updated_at", table_name="issue")
    op.drop_geospatial_table("issue")
    op.drop_geospatial_index(
        "ix_district_polygon", table_name="district", postgresql_using="gist", column_name="polygon"
    )
    op.drop_geospatial_table("district")
    op.drop_table("crew")
    op.drop_index("ix_street_city_id_line", table_name="street", postgresql_using="gist")
    op.drop_geospatial_table("street")
    op.drop_table("service")
    op.drop_geospatial_table("neighbour")
    op.drop_table("layer")
    op.drop_table("department")
    op.drop_index(
        "ix_delivery_in_flight",
        table_name="delivery",
        postgresql_where=sa.text("state = 'queued' AND lease IS NOT NULL"),
    )
    op.drop_index("ix_delivery_due", table_name="delivery", postgresql_where=sa.text("state = 'queued'"))
    op.drop_table("delivery")
    op.drop_index("ix_address_city_id_place", table_name="address", postgresql_using="gist")
    op.drop_geospatial_table("address")
    op.drop_table("report_home")
    op.drop_table("photo_claim")
    op.drop_index("ix_photo_sha256", table_name="photo")
    op.drop_geospatial_table("photo")
    op.drop_table("notification")
    op.drop_index("uq_device_push_address", table_name="device")
    op.drop_index("ix_device_person_id", table_name="device")
    op.drop_table("device")
    op.drop_index(op.f("ix_credential_subject"), table_name="credential")
    op.drop_table("credential")
    op.drop_geospatial_table("city")
