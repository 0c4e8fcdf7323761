"""Help in sections, for commands with many options."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

WHERE = "Where it runs"
KEPT = "What is kept and printed"


class Sectioned(TyperCommand):
    """A command whose help has one section per `rich_help_panel`; an option without one joins the option before it."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the sections; all their texts start in the same column."""
        sections = self._sections(ctx)
        width = max(len(name) for rows in sections.values() for name, _ in rows)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", text) for name, text in rows])

    def _sections(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        sections: dict[str, list[tuple[str, str]]] = {}
        heading = "Options"
        for parameter in self.get_params(ctx):
            is_option = parameter.param_type_name == "option"
            if is_option:
                heading = getattr(parameter, "rich_help_panel", None) or heading
            if record := parameter.get_help_record(ctx):
                sections.setdefault(heading if is_option else "Arguments", []).append(record)
        return sections
