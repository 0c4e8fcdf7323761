"""Prints what runs would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cli.options import print_json, say

if TYPE_CHECKING:
    from bench.plan.plan import Plan
    from bench.run.prediction import Forecast


def print_forecasts(costs: list[Forecast | None], plans: list[Plan], as_json: bool) -> None:
    """Prints the predicted costs of runs on stdout."""
    from bench.console.run import forecast_text

    if as_json:
        documents = [
            {"run_id": planned.spec.run_id, "threat": str(planned.threat), "forecast": cost and cost.as_dict()}
            for cost, planned in zip(costs, plans, strict=True)
        ]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    say("\n".join(forecast_text(cost, planned) for cost, planned in zip(costs, plans, strict=True)))
