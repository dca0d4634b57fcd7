"""A migration step that Tortoise lacks: it declares check constraints but never creates them."""

from __future__ import annotations

from typing import Any

from tortoise.migrations.operations import TortoiseOperation


class AddCheck(TortoiseOperation):
    """Add a rule that every row of a table must keep.

    PostgreSQL gets a check constraint. SQLite cannot add one to a table that exists, so it gets two
    triggers that refuse the same rows. `rule` is SQL over columns written as `{row}column`.
    """

    def __init__(self, table: str, name: str, rule: str) -> None:
        self.table = table
        self.name = name
        self.rule = rule

    def describe(self) -> str:
        """What the step does, for the migration's log."""
        return f"Add the check {self.name} to {self.table}"

    async def database_forward(self, app_label: str, old_state: Any, new_state: Any, state_editor: Any = None) -> None:
        """Create it."""
        if state_editor is None:
            return
        if state_editor.DIALECT == "sqlite":
            rule = self.rule.format(row="NEW.")
            for verb in ("INSERT", "UPDATE"):
                await state_editor.client.execute_script(
                    f"CREATE TRIGGER {self.name}_{verb.lower()} BEFORE {verb} ON {self.table} "
                    f"WHEN NOT ({rule}) BEGIN SELECT RAISE(ABORT, 'check {self.name}'); END"
                )
        else:
            await state_editor.client.execute_script(
                f"ALTER TABLE {self.table} ADD CONSTRAINT {self.name} CHECK ({self.rule.format(row='')})"
            )

    async def database_backward(self, app_label: str, old_state: Any, new_state: Any, state_editor: Any = None) -> None:
        """Take it away."""
        if state_editor is None:
            return
        if state_editor.DIALECT == "sqlite":
            for verb in ("insert", "update"):
                await state_editor.client.execute_script(f"DROP TRIGGER {self.name}_{verb}")
        else:
            await state_editor.client.execute_script(f"ALTER TABLE {self.table} DROP CONSTRAINT {self.name}")
