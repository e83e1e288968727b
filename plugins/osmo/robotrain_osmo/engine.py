"""What acts for the platform `osmo`: each method of its engine is a function of the room that it belongs to."""

import os
import shlex
from collections.abc import Sequence

from robotrain.cluster.engine import PipelineClusterEngine
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.platform_features import PipelineRuns, RunAccess, SharedRuns, SourceVersions, Uploads
from robotrain.model.reference import Reference
from robotrain.model.terminal import TerminalCommand

from robotrain_osmo import submitted_runs, suggested_settings
from robotrain_osmo.observe import logs, pipeline_steps, workflow_state
from robotrain_osmo.observe import outputs as run_outputs
from robotrain_osmo.observe import status as run_status
from robotrain_osmo.preflight import run_preflight
from robotrain_osmo.submit import submit as submission
from robotrain_osmo.submit import upload

make_problem = Messages(__file__)

SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null; then bash; else sh; fi")


class OsmoEngine(PipelineClusterEngine, PipelineRuns, SourceVersions, Uploads, SharedRuns, RunAccess):
    """Runs a job as a workflow of a task on each node, and a pipeline as one, through the user's own `osmo` command."""

    engine_name = "OSMO"
    cancel_seconds = 30.0  # OSMO cancels later, from a queue

    suggest_settings = staticmethod(suggested_settings.suggest_settings)

    list_checks = staticmethod(run_preflight.list_checks)
    pin_source = staticmethod(run_preflight.pin_source)
    read_tags = staticmethod(run_preflight.read_tags)

    prepare = staticmethod(upload.prepare_plan)
    find_uploaded = staticmethod(upload.find_uploaded)
    submit = staticmethod(submission.submit_plan)
    find = staticmethod(submission.find_workflow)
    find_submitted = staticmethod(submitted_runs.find_submitted)
    list_submitted = staticmethod(submitted_runs.list_submitted)
    list_runs_beside = staticmethod(submission.list_workflows_beside)

    status = staticmethod(run_status.query_status)
    list_statuses = staticmethod(run_status.list_statuses)
    list_steps = staticmethod(run_status.list_steps)
    query_pipeline = staticmethod(run_status.query_pipeline)
    has_step_output = staticmethod(run_status.has_step_output)
    find_page = staticmethod(run_status.find_page)
    describe_reference = staticmethod(run_outputs.describe_reference)
    select_step = staticmethod(pipeline_steps.select_step)
    read_log = staticmethod(logs.read_log)
    follow_log = staticmethod(logs.follow_log)
    has_ended = staticmethod(workflow_state.has_ended)
    request_cancel = staticmethod(workflow_state.request_cancel)
    outputs = staticmethod(run_outputs.list_outputs)
    expect_output = staticmethod(run_outputs.expect_output)
    fetch_output = staticmethod(run_outputs.fetch_output)
    register = staticmethod(run_outputs.register_model)

    def make_shell(self, reference: Reference, words: Sequence[str], has_terminal: bool) -> TerminalCommand:
        """Return OSMO's own command, which always has the user's terminal.

        Raise Rejected without one, and for a command: OSMO's own tells no exit code.
        """
        step = pipeline_steps.select_step(reference)
        if words or not has_terminal:
            raise Rejected([make_problem("shell-typed-only", run=reference["run"])])
        program = os.path.expanduser(workflow_state.get_command(step))
        target = ("workflow", "exec", step["workflow"], step["task"])
        return TerminalCommand([program, *target, "--entry", shlex.join(SHELL)])
