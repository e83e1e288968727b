"""A client of Azure ML without its SDK, whose import takes seconds: jobs, datastores, signed blobs."""
