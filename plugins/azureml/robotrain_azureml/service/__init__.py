"""The workspace asked without its SDK, whose import takes seconds."""
