"""Nouns of the pipeline: job, plan, run, source, workload, platform. They import nothing above."""
