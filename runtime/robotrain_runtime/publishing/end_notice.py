"""What a run itself tells a webhook about its end: its name, how and why it ended, its score, the next command."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import event, job_node, redaction
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Outcome
from robotrain_runtime.contract.notice import post_notice
from robotrain_runtime.contract.secret_rules import NOTIFY_VARIABLE
from robotrain_runtime.environments.work_secrets import WorkSecrets
from robotrain_runtime.process import outcome_file
from robotrain_runtime.process.event_relay import EventRelay

SHOWN_SCORES = 3
METRICS = '"event": "metrics"'
"""In a line of almost all events, which are not read here."""


class EndNotice:
    """The webhook of a run. A variable that the platform set for it leaves the environment of this process."""

    def __init__(self, document: JobDocument) -> None:
        self._document = document
        self._secrets = WorkSecrets(document, of_webhook=True)

    def end_run(self, relay: EventRelay, outcome: Outcome) -> Outcome:
        """Write the outcome, and tell the webhook unless another node or the platform's own program does."""
        outcome = outcome_file.write_outcome(self._document, relay, outcome)
        if job_node.is_lead(self._document) and not self._document.placement.tells_end:
            self.send(outcome, relay.write_line)
        return outcome

    def send(self, outcome: Outcome, log_line: Callable[[str], object]) -> None:
        """Tell the webhook, if the run has one; a line says why that failed. Nothing is raised."""
        secrets = self._secrets
        try:
            findings = [*secrets.read_here(), *secrets.read_stores()]
            problem = findings[0].title if findings else ""
        except Exception as error:  # of a store
            problem = type(error).__name__
        if address := secrets.values.get(NOTIFY_VARIABLE):
            problem = post_notice(address, format_notice(self._document, outcome))
        if secrets.names and problem:
            log_line(f"warning: the webhook was not told: {problem}")


def format_notice(document: JobDocument, outcome: Outcome) -> str:
    """Return the message about the end of a run, without secrets."""
    run, score, next_command = document.run, "", "resubmit"
    with suppress(Exception), Path(document.placement.work, outcome_file.EVENTS_FILE).open() as events:
        # a run that failed before its runtime began has none
        for line in events:
            record = None if METRICS in line else event.parse_event(line)
            run_event = record and record.event
            if isinstance(run_event, Evaluated):
                score = ", ".join(
                    f"{name} {score_value:.4g}" for name, score_value in [*run_event.scores.items()][:SHOWN_SCORES]
                )
            elif isinstance(run_event, Checkpoint):
                next_command = "resume"
    if outcome.state == "succeeded":
        next_command = "report" if score else "outputs"
    elif outcome.state == "failed" and not outcome.worth_a_retry:
        next_command = "logs --tail 40"
    name = document.record.get("name") or run
    run_line = f"run: {run} on {document.platform}"
    message_lines = (
        f"{name} {outcome.state}",
        outcome.reason,
        score,
        run_line,
        f"next: robotrain {next_command} {run}",
    )
    return "\n".join(redaction.hide_if_secret(line) for line in message_lines if line)
