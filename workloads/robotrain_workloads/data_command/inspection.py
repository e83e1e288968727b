"""Questions about a dataset, answered in a process of its own, with numpy, pandas, pyarrow, PyAV and Pillow.

`-m robotrain_workloads.data_command.inspection` reads its request from stdin, and writes events to stdout, as lines of
JSON. The questions: `tables`, `quality` and `view`; a later one is asked only if what those before it found is cured by
leaving episodes out.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.problem import summarize_problem

from robotrain_workloads.dataset_check import checks, load
from robotrain_workloads.dataset_check.findings import Finding, leave_out_errors, make_finding
from robotrain_workloads.dataset_check.load import Recorded, Training
from robotrain_workloads.lerobot import dataset, episode_numbers

Emit = Callable[..., None]
"""Takes the name of an event, and its values."""


class Inspection:
    """The answers about one dataset: each is an event at once."""

    def __init__(self, root: Path, emit: Emit, *, has_videos: bool = True, name: str = "") -> None:
        self.root, self._emit, self._has_videos, self._name = root, emit, has_videos, name or str(root)
        self.findings = list[Finding]()
        self.results = dict[str, dict[str, Any]]()
        self.recorded: Recorded | None = None

    def add_answer(self, question: str, answer: Finding | Mapping[str, Any]) -> None:
        """Keep a finding, or a part of the result of a question, and emit it."""
        if isinstance(answer, Finding):
            self.findings.append(answer)
            self._emit("finding", finding=answer.dump())
        else:
            self.results.setdefault(question, {}).update(answer)
            self._emit("result", question=question, result=answer)

    def show_progress(self, done: int, total: int) -> None:
        """Tell how much is done."""
        self._emit("progress", parts=[done, total])

    def answer(self, question: str, options: Mapping[str, Any]) -> None:
        """Answer a question, unless an answer before it shows that nothing more can be said."""
        facts = self.results.get("tables", {})
        left_out = leave_out_errors(self.findings, facts)
        if "refused" in facts or left_out is None:
            return
        if question == "tables":
            self._check_tables(options)
        elif question == "quality" and self.recorded:
            checks.leave_out(self.recorded, left_out)
            self.recorded.val_split = float(options["val_split"])
            decodes_all = options.get("decode") == "all"
            for answer in checks.check_quality(self.recorded, self.show_progress, decodes_all=decodes_all):
                self.add_answer(question, answer)
        elif question == "view":
            self._answer_view(options)

    def _check_tables(self, options: Mapping[str, Any]) -> None:
        """Tell what is wrong with the description and the tables, what the dataset holds, and what helps.

        Options: `tolerance`, `episodes`, `excluded` as text, `allow_non_finite`, `reads` and `quantiles` as
        `load.Training`; `converts` for a dataset that will be converted from v2.1. Only with `warns`, what the same
        tables show that makes a policy worse.
        """
        problems = dataset.find_dataset_problems(
            self.root, self._name, convert=bool(options.get("converts")), description_only=not self._has_videos
        )
        for problem in problems:
            self.add_answer(
                "tables",
                make_finding(
                    "description-invalid", summarize_problem(problem).rstrip(".").replace(f"{self.root}/", "")
                ),
            )
        if self.findings:
            return
        info = dataset.load_dataset_info(self.root)
        counts = {"episodes": int(info["total_episodes"]), "frames": int(info["total_frames"])}
        cameras, converts = len(dataset.list_cameras(info)), dataset.is_convertible(info)
        has_unseen_videos = dataset.has_video(info) and not self._has_videos
        self.add_answer(
            "tables", {**counts, "cameras": cameras, "converts": converts, "unseen_videos": has_unseen_videos}
        )
        chosen = options.get("episodes")
        try:
            if options.get("excluded"):
                chosen = episode_numbers.leave_out(options["excluded"], counts["episodes"], chosen)
        except ValueError as error:
            self.add_answer("tables", {"refused": str(error)})
            return
        training = Training(
            chosen,
            options.get("tolerance"),
            bool(options.get("allow_non_finite")),
            options.get("reads", ()),
            options.get("quantiles", ()),
        )
        self.recorded, findings = checks.check_tables(self.root, training, has_videos=self._has_videos)
        for finding in findings:
            self.add_answer("tables", finding)
        self.add_answer("tables", {"ways": [finding.suggestion for finding in findings if finding.suggestion]})
        if options.get("warns") and self.recorded and not findings:
            for finding in checks.check_worse_tables(self.recorded):
                self.add_answer("tables", finding)

    def _answer_view(self, options: Mapping[str, Any]) -> None:
        """Tell what the page of a dataset shows, with the answers to the other questions."""
        from robotrain_workloads.data_command.view import collect_view

        for question in ("tables", "quality"):
            self.answer(question, options)
        view = None
        try:
            recorded = self.recorded or load.load_episodes(self.root, Training())
            view = collect_view(
                recorded, self.findings, options.get("episode"), reads_numbers="quality" in self.results
            )
        except Exception:
            if not any(finding.severity == "error" for finding in self.findings):  # they say why
                raise
        self.add_answer("view", {**self.results, "view": view if view and view["episodes"] else None})


def answer_request(request: Mapping[str, Any], emit: Emit) -> None:
    """Answer the questions of a request in turn."""
    described = request["dataset"]
    inspection = Inspection(
        Path(described["folder"]), emit, has_videos=described.get("has_videos", True), name=described.get("name", "")
    )
    for question, options in request["questions"].items():
        inspection.answer(question, options)


def main() -> None:
    """Answer one request."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no event

    def emit(event: str, **values: object) -> None:
        events.write(json.dumps({"event": event, **values}).encode() + b"\n")
        events.flush()

    try:
        answer_request(json.loads(sys.stdin.buffer.readline()), emit)
    except Exception as error:
        traceback.print_exc()
        emit("failed", why=" ".join(f"{type(error).__name__}: {error}".split()))
    else:
        emit("end")


if __name__ == "__main__":
    main()
