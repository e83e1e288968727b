"""`robotrain explain`: the values of a job and their origins."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.job_command import JobCommand, make_job_command
from robotrain.cli.options import ComposedOptions
from robotrain.cli.output import (
    format_table,
    print_json,
    print_message,
    print_other_views,
    print_problems,
    print_result,
)
from robotrain.config.values import DEFAULT_ORIGIN, PLATFORM_LAYER, Origin
from robotrain.model.job import TRAINER_DEFAULT
from robotrain.store import run_values
from robotrain.submission.prepare import PreparedJob

if TYPE_CHECKING:
    from robotrain.pipelines.prepare import PreparedPipeline

HELP = """Show each value that a job was given, where it came from, and what it overrode.

  robotrain explain job.yaml --platform PLATFORM --training-steps 50

  robotrain explain job.yaml --platform PLATFORM --all
"""


class ExplainCommand(JobCommand):
    """The command that explains a job."""

    can_evaluate = True
    shows_jobs_of_workload = True

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add `--all` and `--json`."""
        options.add_own("--all", help="also show the values that nobody gave: the defaults", common=True)
        options.add_own("--json", help="print JSON")

    def run_prepared(self, ctx: typer.Context, prepared: PreparedJob, values: dict[str, Any]) -> None:
        """Print every value."""
        print_problems(prepared.warnings)
        if prepared.needs_lock:
            from robotrain.submission import program_lock

            prepared = program_lock.add_known_lock(prepared)
        plugin_choices = zip(("workload", "platform"), self.choice, self.choice.origins, strict=False)
        rows: list[dict[str, Any]] = [
            {"name": name, "value": value, "origin": str(origin), "overrode": []}
            for name, value, origin in plugin_choices
        ]
        rows += _list_values(prepared)
        if values.get("json"):
            job = prepared.job
            print_json({"workload": job.workload, "job": job.digest, "values": rows})
        else:
            _print_rows(rows, is_all=bool(values.get("all")))
            print_other_views("explain")

    def run_pipeline(self, ctx: typer.Context, prepared: "PreparedPipeline", values: dict[str, Any]) -> None:
        """Print every value of a job and its evaluation."""
        print_pipeline_values(prepared, bool(values.get("json")), is_all=bool(values.get("all")))


def _print_rows(value_rows: Sequence[dict[str, Any]], *, is_all: bool) -> None:
    """Print values as a table; without `is_all`, those that nobody gave are only counted."""
    merged = [*run_values.merge_option_rows(value_rows)]
    shown_rows = [row for row in merged if is_all or not _is_plain_default(row)]
    print_result(format_table([("NAME", "VALUE", "FROM", "OVERRODE"), *map(format_row, shown_rows)]))
    if count := len(merged) - len(shown_rows):
        print_message(f"{count} other values are defaults: --all shows them")


def _is_plain_default(row: Mapping[str, Any]) -> bool:
    """Return whether nobody gave a value, and it is what the trainer itself takes."""
    is_default = row["origin"] == str(DEFAULT_ORIGIN) and not row["overrode"] and not row.get(TRAINER_DEFAULT)
    return is_default and row["name"] not in ("workload", "platform")


def print_pipeline_values(prepared: "PreparedPipeline", as_json: bool, *, is_all: bool = True) -> None:
    """Print every value of every step of a pipeline."""
    print_problems(prepared.warnings)
    rows = [dict(row) for row in prepared.values]
    if as_json:
        print_json({"pipeline": prepared.job.workload, "job": prepared.job.digest, "values": rows})
    else:
        _print_rows(rows, is_all=is_all)
        print_other_views("explain")


def _list_values(prepared: PreparedJob) -> Iterator[dict[str, Any]]:
    """Yield every value; for an unset one, what the platform derives for it, or what the work takes."""
    platform = prepared.platform
    derived_defaults = platform.plans.derive_defaults(prepared.job, prepared.settings)
    unset = prepared.workload.describe_unset(prepared.job) if prepared.workload else {}
    for row in prepared.values:
        if row["value"] is None and (default := derived_defaults.get(row["name"])):
            origin = str(Origin(PLATFORM_LAYER, f"{platform.name}: {default.why}"))
            yield {**row, "value": default.value or None, "origin": origin}
        elif row["value"] is None and row["name"] in unset:
            unset_text, reason = unset[row["name"]]
            yield {**row, "value": unset_text, "origin": f"{row['origin']}: {reason}"}
        else:
            yield dict(row)


def format_row(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return the cells of a value."""
    overridden_values = [
        f"{weaker_value['value']} ({weaker_value['origin']})"
        for weaker_value in row["overrode"]
        if weaker_value["value"] is not None
    ]
    raw_value = row["value"]
    value_text = "-" if raw_value is None else run_values.format_setting(raw_value)
    origin = "; ".join(filter(None, (row["origin"], row.get(TRAINER_DEFAULT))))
    return row["name"], value_text, origin, ", ".join(overridden_values)


app = make_job_command("explain", ExplainCommand, HELP)
