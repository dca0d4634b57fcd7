"""Everything that touches the database: models, migrations, transactions, the seat ledger, the event log."""
