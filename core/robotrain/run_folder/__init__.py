"""The run's folder, for platforms that can read it: creation, log, status, outputs.

`Placement.work` names it. A platform that writes the log to `log.txt` and the document to `job.json` there has both
among its outputs.
"""
