"""The data of a run: brought, made ready, kept within the cache's limit."""
