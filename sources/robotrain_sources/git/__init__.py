"""Repositories of git: the code of a job at one commit, which the job fetches."""
