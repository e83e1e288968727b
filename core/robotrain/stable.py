"""What a plugin may import, and the version of that promise.

Names are only added within a version; `docs/stability.md` says what a new version means for an old plugin.
"""

from collections.abc import Mapping

API = 1
"""The version a plugin is written for: `ROBOTRAIN_API = 1` in the module that its entry point names."""
OLDEST = 1
"""The oldest one that this robotrain still takes."""

MODULES: Mapping[str, tuple[str, ...]] = {
    "robotrain": (
        "Rejected",
        "Run",
        "RunCancelled",
        "RunEnded",
        "RunFailed",
        "RunLost",
        "explain",
        "render",
        "runs",
        "submit",
    ),
    "robotrain.capabilities": ("ANY", "FEATURES", "LIMITS", "YES", "Capabilities", "Support", "no", "not_yet"),
    "robotrain.health": ("Fix", "HealthCheck", "fail", "lacking", "ok", "warn"),
    "robotrain.hookspecs": ("hook",),
    "robotrain.job": ("Job",),
    "robotrain.payload": ("Payload",),
    "robotrain.plan": ("Plan", "document"),
    "robotrain.platforms": ("Default", "Further", "Platform"),
    "robotrain.problem": ("Instead", "NotSent", "Problem", "Rejected", "Stage", "Unanswered"),
    "robotrain.progress": ("Progress",),
    "robotrain.redaction": ("holds_secret", "redact"),
    "robotrain.run": ("Change", "Output", "Reference", "RunGone", "RunRecord", "State", "Status"),
    "robotrain.run_folder": (
        "Seen",
        "Taker",
        "bring",
        "evaluated",
        "holds",
        "lines",
        "outcome",
        "outputs",
        "place",
        "present",
        "status",
        "taker",
        "wrong_with",
    ),
    "robotrain.source": ("Absent", "Pinning", "RoleFlag", "Source", "SourceError", "SourceKind", "Unseen"),
    "robotrain.tables": ("pairs",),
    "robotrain.testing": ("PlatformKit", "Served", "SourceKit", "WorkloadKit", "World"),
    "robotrain.workload": ("Role", "Workload"),
    "robotrain_runtime.assistant": ("Assistant", "serve"),
    "robotrain_runtime.checkpoint": ("MANIFEST", "Manifest", "read", "seal"),
    "robotrain_runtime.courier": ("Halted", "Never"),
    "robotrain_runtime.document": ("JobDocument", "Mount", "Placement", "Source", "dump", "load"),
    "robotrain_runtime.emit": ("emit",),
    "robotrain_runtime.event": (
        "Checkpoint",
        "Delivered",
        "Download",
        "Evaluated",
        "Metrics",
        "Note",
        "Outcome",
        "Record",
        "Registered",
    ),
    "robotrain_runtime.failure": ("Failed",),
    "robotrain_runtime.half": (
        "Carrier",
        "Delivery",
        "Environment",
        "Found",
        "Gpus",
        "Place",
        "Preparation",
        "Publishing",
        "Tracked",
        "TrackingHalf",
        "Work",
        "WorkloadHalf",
        "SourceHalf",
    ),
    "robotrain_runtime.parameter": ("Param",),
    "robotrain_runtime.target": ("Halt", "Look", "Mark", "Target", "TargetHalf", "Writer"),
}
"""By module, the names."""
