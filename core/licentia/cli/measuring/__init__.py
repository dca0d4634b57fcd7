"""How fast the seat ledger is on a database: for `licentia bench` and the benchmarks of the project."""
