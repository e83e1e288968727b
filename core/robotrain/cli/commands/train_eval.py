"""`robotrain pipeline train-eval`: train, evaluate and register, from options."""

import functools
import os
import re
from collections.abc import Mapping
from typing import Any

import typer

from robotrain.cli.arguments import parse_amount
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.commands.sending import Sending, send_job
from robotrain.cli.commands.watch import parse_timeout
from robotrain.cli.evaluated_training import (
    EVALUATION_TABLE,
    add_evaluation_options,
    prepare_train_eval,
    take_model,
    take_step_changes,
)
from robotrain.cli.job_command import JobCommand
from robotrain.cli.job_request import read_request
from robotrain.cli.options import ComposedOptions
from robotrain.cli.pipeline_preview import pin_and_preview
from robotrain.config.selection import Choice
from robotrain.config.values import Origin, Value
from robotrain.errors import Rejected, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.platform import Platform
from robotrain.pipelines import train_eval
from robotrain.pipelines.train_eval import EVALUATE, TRAIN
from robotrain.plugins.manager import Plugins

make_problem = Messages(__file__)

HELP = """Train a policy, evaluate it, and register it if asked: one pipeline.

  robotrain pipeline train-eval --platform PLATFORM --dataset-path ./my-dataset --training-steps 2000 --wait\f

  robotrain pipeline train-eval job.yaml --platform PLATFORM --env pusht --starts easy --register-model pusht-act

Everything after `--` is passed to the trainer unchanged. The policy is registered only if its evaluation succeeds.
"""
SWITCHES = {
    "--skip-inference": "do not evaluate the policy",
    "--skip-register": "do not register the policy, even if a model is named",
    "--with-register": "register the policy; needs --register-model",
    "--native-only": "refuse a platform that needs this machine to start the steps",
}
VALUES = {
    "--timeout": (
        "with --wait: stop waiting after this time; a bare number is minutes; the pipeline runs on"
        "  [env: TIMEOUT_MINS]",
        "TIME",
    ),
    "--poll-interval": (
        "with --wait: seconds between two questions about its state  [default: 5; env: POLL_INTERVAL]",
        "SECONDS",
    ),
}
COMPUTE_FLAG = "--compute"
"""An option of platforms that each step may have of its own: `--compute-train`, `--compute-evaluate`."""


class TrainEvalCommand(JobCommand):
    """The command of a training and its evaluation; its options are those of both workloads."""

    purpose = "submit"
    saves_job = False

    def add_own_options(self, options: ComposedOptions) -> None:
        """Add the options of the pipeline."""
        model = "register the policy as a version of this model"
        options.add_own("--register-model", "--register-model-name", help=model, metavar="NAME", common=True)
        self.add_sending(options)
        for flag, help in SWITCHES.items():
            options.add_own(flag, help=help)
        for flag, (help, metavar) in VALUES.items():
            options.add_own(flag, help=help, metavar=metavar)

    def add_plugin_options(self, options: ComposedOptions, choice: Choice, plugins: Plugins) -> None:
        """Add the options of the evaluation that are not the training's too."""
        super().add_plugin_options(options, choice, plugins)
        add_evaluation_options(options, choice, plugins)
        for step in (TRAIN, EVALUATE) if choice.platform and COMPUTE_FLAG in options.flags else ():
            options.add_own(f"{COMPUTE_FLAG}-{step}", help=f"{COMPUTE_FLAG} of the step {step}", metavar="NAME")

    def execute(self, ctx: typer.Context, choice: Choice, values: dict[str, Any]) -> None:
        """Submit the pipeline, and follow it if requested."""
        plugins = get_plugins(ctx)
        timeout, poll_seconds = _read_times(values)
        sets = take_step_changes(values)
        request, workload, platform, problems = read_request(self.describe_line(ctx, values))
        evaluation = train_eval.find_evaluation(workload.name, plugins)
        parameters = request.line.select(EVALUATION_TABLE)
        typed = values.get("register_model")
        named = Value(typed, Origin("flag", "--register-model")) if typed else None
        request, model = take_model(request, workload, named, problems)
        if values.get("with_register") and model is None:
            problems.append(make_problem("value-missing.model-name"))
        if values.get("skip_inference"):
            way = suggest_leaving_out("--skip-inference", remark="evaluates the policy")
            flags = [value.origin.where for value in parameters.values()]
            problems += (make_problem("option-without-effect", way, where=flag) for flag in flags)
        elif evaluation is None:
            problems.append(make_problem("evaluation-missing", name=workload.name))
        pipeline_parts = train_eval.TrainEval(
            evaluation=None if values.get("skip_inference") else evaluation,
            parameters=parameters,
            model=None if values.get("skip_register") else model,
            settings=_collect_step_settings(values, platform),
        )
        prepared = prepare_train_eval(request, workload, platform, pipeline_parts, sets, problems, plugins, "submit")
        explain = functools.partial(train_eval.explain_missing_policy, training=request)
        native_only = bool(values.get("native_only"))
        ready = pin_and_preview(prepared, pinning=not values.get("no_pin"), native_only=native_only, explain=explain)
        send_job(ctx, ready, Sending.read(values, timeout=timeout, poll_seconds=poll_seconds, no_pin=True))


def _read_times(values: dict[str, Any]) -> tuple[str, float | None]:
    """Return how long to follow, in words, and the seconds between two questions. Raise Rejected for other values."""
    is_waiting = bool(values.get("wait") or values.get("stream"))
    flags = [
        flag for name, flag in (("timeout", "--timeout"), ("poll_interval", "--poll-interval")) if values.get(name)
    ]
    if flags and not is_waiting:
        raise Rejected(make_problem("option-without-effect.no-wait", where=flag) for flag in flags)
    environ: Mapping[str, str] = os.environ if is_waiting else {}

    def parse_seconds(text: str) -> float:
        if not re.fullmatch(r"\d+(\.\d+)?s?", text) or float(text.rstrip("s")) <= 0:
            raise ValueError("it needs a number of seconds greater than 0")
        return float(text.rstrip("s"))

    timeout = values.get("timeout") or environ.get("TIMEOUT_MINS", "")
    if re.fullmatch(r"\d+(\.\d+)?", timeout):
        timeout += "min"
    parse_timeout(timeout)
    poll = values.get("poll_interval") or environ.get("POLL_INTERVAL", "")
    return timeout, parse_amount(parse_seconds, poll, "--poll-interval", "60")


def _collect_step_settings(values: dict[str, Any], platform: Platform) -> dict[str, dict[str, Value]]:
    """Return the computes that steps have of their own, by step."""
    computes = {step: values.get(f"compute_{step}") for step in (TRAIN, EVALUATE)}
    return {
        step: {f"platforms.{platform.name}.compute": Value(compute, Origin("flag", f"{COMPUTE_FLAG}-{step}"))}
        for step, compute in computes.items()
        if compute
    }
