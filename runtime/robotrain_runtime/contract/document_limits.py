"""The most bytes that are read of each file of a run: another version, user or machine may have written it."""

MAX_DOCUMENT_BYTES = 64 << 20
"""Of a job document, which may have packages in it."""
MAX_MANIFEST_BYTES = 16 << 20
"""Of the manifest of a checkpoint."""
MAX_STAGED_BYTES = 16 << 20
"""Of the list of the sources that were fetched before the job began."""
MAX_STEP_BYTES = 16 << 20
"""Of what a step of a pipeline says of its output."""
MAX_OUTCOME_BYTES = 1 << 20
"""Of how the run ended, as the runtime says it."""
MAX_ENGINE_END_BYTES = 1 << 16
"""Of how the job ended, as the engine says it."""
MAX_EVENTS_BYTES = 1 << 30
"""Of all events."""
MAX_LINE_BYTES = 1 << 20
"""Of one line of a log or of the events; a longer one is read in parts, and is no event."""
MAX_RUN_FILE_BYTES = 16 << 20
"""Of any other file that is read as a whole."""
