"""An index by which the past leases that touch a time long ago are found without reading all since."""

from tortoise import migrations
from tortoise.migrations import operations as ops

LENGTH = (
    "(CASE WHEN ended_at - granted_at < 3600000000 THEN 0 WHEN ended_at - granted_at < 57600000000 THEN 1"
    " WHEN ended_at - granted_at < 921600000000 THEN 2 WHEN ended_at - granted_at < 14745600000000 THEN 3 ELSE 4 END)"
)


class Migration(migrations.Migration):
    """Past leases by their class of length (1 hour, 16, 256, 4096 and more), then by their end."""

    dependencies = [("licentia", "0002_invariants")]

    operations = [
        ops.RunSQL(
            f"CREATE INDEX past_lease_by_length ON past_lease ({LENGTH}, ended_at)", "DROP INDEX past_lease_by_length"
        ),
    ]
