"""Work orders go with the reports of a merged issue and come back: an issue may be taken out of an order."""

from collections.abc import Sequence

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("GRANT DELETE ON work_order_issue TO jalon_app")
    op.execute("REVOKE UPDATE ON work_order_issue FROM jalon_app")


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("GRANT UPDATE ON work_order_issue TO jalon_app")
    op.execute("REVOKE DELETE ON work_order_issue FROM jalon_app")
