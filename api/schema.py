"""All tables in one place, for migrations; the rooms below know only their own."""

from sqlalchemy import MetaData

import db.credentials
import db.rates
import db.signing
import geo.base_map
import geo.cities
import geo.districts
import geo.owned_things
import geo.streets
import issues.alerts
import issues.assignments
import issues.catalogue
import issues.cells
import issues.commands
import issues.events
import issues.feedback
import issues.follows
import issues.issue
import issues.openings
import issues.pairs
import issues.pauses
import issues.reports
import issues.staff
import issues.subscriptions
import issues.telling
import issues.usual_times
import issues.webhooks
import issues.work_orders
import media.photos
import media.uploads
import push.devices
import push.emails
import push.outbox
import push.outcomes
import push.preferences
import push.topics
from db.base import Base


def all_tables() -> MetaData:
    """Get the metadata of every table of the application."""
    return Base.metadata
