"""The invariants that stand behind the code: a bug or a hand-made change cannot oversell either."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from licentia.domain.events import GENESIS
from licentia.storage.migrations._checks import AddCheck

CHAINS = 16


class Migration(migrations.Migration):
    """Checks on seats and units, and the heads of the event chains."""

    dependencies = [("licentia", "0001_initial")]

    operations = [
        AddCheck(
            "seat_pool",
            "seat_pool_in_use",
            "{row}in_use >= 0 AND ({row}unlimited OR {row}in_use <= {row}seats + {row}overdraft)",
        ),
        AddCheck(
            "license",
            "license_stock",
            "{row}to_reclaim >= 0 AND {row}to_reclaim <= {row}placed AND {row}placed <= {row}quantity",
        ),
        AddCheck("meter", "meter_units", "{row}used >= 0 AND {row}used <= {row}total"),
        AddCheck("lease", "lease_charge", "{row}charged >= 0 AND {row}charged <= {row}seats"),
        *(
            ops.RunSQL(f"CREATE INDEX {name} ON lease ({columns}) WHERE {rows}", f"DROP INDEX {name}")
            for name, columns, rows in (
                ("lease_sharing", "pool_id, share_key", "share_key IS NOT NULL"),
                ("lease_borrowed", "pool_id", "state = 'borrowed'"),
                ("lease_whole", "whole", "whole IS NOT NULL"),
            )
        ),
        *(
            ops.RunSQL(
                f"INSERT INTO chain (id, seq, hash) VALUES ({chain}, 0, '{GENESIS}')",
                f"DELETE FROM chain WHERE id = {chain}",
            )
            for chain in range(CHAINS)
        ),
    ]
