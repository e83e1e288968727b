"""The names of the files that a run's folder has on every platform that keeps one."""

LOG_FILE = "log.txt"
EVENTS_FILE = "events.jsonl"
OUTCOME_FILE = "outcome.json"
PAYLOAD_FOLDER = "payload"
HANDOVER_FOLDER = "handover"
"""In the folder of a step: what later steps read."""
