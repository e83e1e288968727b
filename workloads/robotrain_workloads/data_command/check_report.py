"""What `robotrain data check` says about a dataset, for people and as JSON."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from robotrain_workloads.dataset_check.findings import BRIGHTNESS_UNIT, Finding, list_cured
from robotrain_workloads.dataset_check.source_units import find_other_units
from robotrain_workloads.dataset_check.statistics_needs import COMPUTED_WAY
from robotrain_workloads.lerobot.dataset import CONVERT_FLAG
from robotrain_workloads.lerobot.episode_numbers import EXCLUDE_FLAG, format_ranges, parse_ranges, select_episodes

SEVERITIES = ("error", "warning")
LOOKED_AT = {"numbers": "numbered_episodes", "pictures": "pictured_episodes"}
"""What the question `quality` looks at, and its results that count the episodes."""


class CheckedDataset(NamedTuple):
    """A dataset with what was found in it."""

    text: str
    """As it was given."""
    findings: tuple[Finding, ...]
    results: Mapping[str, Mapping[str, Any]]
    """By question (`InspectedDataset`)."""
    failure: str = ""
    """Why it could not be looked at."""
    left_out: str = ""
    """The episodes that were left out, as they were given."""
    is_folder: bool = True
    """Whether it is a folder of this machine, which `data view` takes."""

    @property
    def can_train(self) -> bool:
        """Whether nothing was found with which no policy can be trained."""
        return not self.failure and not any(finding.severity == "error" for finding in self.findings)

    @property
    def needs_conversion(self) -> bool:
        """Whether a training converts it from LeRobot v2.1 first."""
        return bool(self.results.get("tables", {}).get("converts"))

    @property
    def sorted_findings(self) -> list[Finding]:
        """The findings, the worst first: errors, then those of many episodes."""
        return sorted(self.findings, key=lambda finding: (SEVERITIES.index(finding.severity), -len(finding.episodes)))

    @property
    def excluded(self) -> list[int]:
        """The episodes that are better left out."""
        return list_cured(self.findings, self.results.get("tables", {}))

    def format_excluded(self) -> str:
        """Return the episodes to leave out, as the option takes them: those that are, and those that are better so."""
        excluded_before = (
            select_episodes(parse_ranges(self.left_out), sys.maxsize) if self.left_out and not self.failure else []
        )
        return format_ranges([*excluded_before, *self.excluded])

    def dump(self) -> dict[str, Any]:
        """Return it as data for JSON; the keys are an API."""
        counts = {key: self.results.get("tables", {}).get(key) for key in ("episodes", "frames", "cameras")}
        return {
            "dataset": self.text,
            **counts,
            "pictures": self.results.get("quality", {}).get("pictures"),
            "decoded_pictures": self.results.get("quality", {}).get("decoded_pictures"),
            "state_lag": self.results.get("quality", {}).get("state_lag"),
            "can_train": self.can_train,
            "convert_v21": self.needs_conversion,
            "failure": self.failure,
            "not_checked": self.explain_unchecked(),
            "findings": [finding.dump() for finding in self.sorted_findings],
            "exclude_episodes": self.format_excluded(),
        }

    def explain_unchecked(self) -> str:
        """Return what was not looked at, as a sentence without a full stop; empty if everything was."""
        quality = self.results.get("quality", {})
        tables = self.results.get("tables", {})
        if self.failure:
            return ""
        if "quality" not in self.results and not self.can_train:
            return "numbers and pictures are looked at once the errors are corrected"
        if "quality" not in self.results:
            return f"the tables alone were compared: `robotrain data check {shlex.quote(self.text)}` looks at the rest"
        total = tables.get("episodes", 0)
        seen_counts = {part_name: quality.get(key, total) for part_name, key in LOOKED_AT.items()}
        unchecked_parts = [
            f"{part_name} were looked at in {count:,}" for part_name, count in seen_counts.items() if count < total
        ]
        sentences = [f"{', '.join(unchecked_parts)} of {total:,} episodes"] if unchecked_parts else []
        if tables.get("unseen_videos"):
            sentences.append("videos were not looked at: copy the dataset into a folder of this machine")
        return "; ".join(sentences)

    @property
    def looked_at(self) -> int | None:
        """In how many episodes everything was looked at; None for all."""
        quality = self.results.get("quality")
        total = self.results.get("tables", {}).get("episodes", 0)
        fewest_episodes = 0 if quality is None else min(quality.get(key, total) for key in LOOKED_AT.values())
        return fewest_episodes if fewest_episodes < total else None


def list_common_warnings(datasets: Iterable[CheckedDataset]) -> list[str]:
    """Return what is wrong with datasets only if a training reads them together."""
    statistics = {checked.text: checked.results.get("quality", {}).get("statistics", {}) for checked in datasets}
    return [*find_other_units(statistics)]


def format_heading(checked: CheckedDataset) -> str:
    """Return the line of a dataset: what it holds, and how much was found."""
    if checked.failure:
        return f"{checked.text}: {checked.failure}"
    tables = checked.results.get("tables", {})
    counts = [_count(tables[key], key.removesuffix("s")) for key in ("episodes", "frames", "cameras") if key in tables]
    if decoded_text := _say_decoded(checked.results.get("quality", {})):
        counts.append(decoded_text)
    severity_counts = [(sum(finding.severity == kind for finding in checked.findings), kind) for kind in SEVERITIES]
    counts_text = ", ".join(_count(number, kind) for number, kind in severity_counts if number) or _say_nothing(checked)
    return f"{checked.text}: {', '.join(counts)}{'; ' if counts else ''}{counts_text}"


def list_rows(checked: CheckedDataset) -> Iterator[tuple[str, str, str]]:
    """Yield the table of findings: severity, code, and the sentence with all its episodes."""
    for finding in checked.sorted_findings:
        yield finding.severity, finding.code, format_text(finding)


def list_next_lines(checked: CheckedDataset) -> Iterator[str]:
    """Yield what to type next: the episodes to leave out, and the one to look at."""
    if checked.needs_conversion and checked.can_train:
        yield f"train on it:     {CONVERT_FLAG} (it is of LeRobot v2.1)"
    if any(finding.code == "statistics-differ" and finding.unit != BRIGHTNESS_UNIT for finding in checked.findings):
        yield f"true statistics: {COMPUTED_WAY}"
    if checked.excluded:
        yield f"leave them out:  {EXCLUDE_FLAG} {checked.format_excluded()}"
    episode = next((finding.episodes[0] for finding in checked.sorted_findings if finding.episodes), None)
    if episode is not None and checked.is_folder:
        yield f"look at one:     robotrain data view {shlex.quote(checked.text)} {episode}"


def format_text(finding: Finding) -> str:
    """Return the sentence of a finding with all its episodes."""
    has_several = len(finding.episodes) > 1
    return f"{finding.text} (episodes {format_ranges(finding.episodes, ', ')})" if has_several else finding.text


def _say_decoded(quality: Mapping[str, Any]) -> str:
    """Return how many pictures were decoded; empty if there are none, or if none was to be."""
    pictures = quality.get("pictures", 0)
    decoded_pictures = quality.get("decoded_pictures", 0)
    return f"{decoded_pictures:,} of {pictures:,} pictures decoded" if pictures else ""


def describe_lag(checked: CheckedDataset) -> str:
    """Return how far the state is behind its action, as a sentence without a full stop; empty if that is not sure."""
    lag = checked.results.get("quality", {}).get("state_lag")
    if lag is None:
        return ""
    return f"the state comes {abs(lag):g} frames {'after' if lag >= 0 else 'before'} its action, in most episodes"


def _say_nothing(checked: CheckedDataset) -> str:
    if checked.looked_at is None:
        return "nothing found"
    return f"nothing found in {checked.looked_at:,} of them" if checked.looked_at else "nothing found in its tables"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"
