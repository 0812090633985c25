"""Questions as data: on lines of files, in the options of commands, and in records."""

from lipc.jobs.files import ENDINGS, parse_jobs, read_jobs
from lipc.jobs.job import Job
from lipc.jobs.stated import Words

__all__ = ["ENDINGS", "Job", "Words", "parse_jobs", "read_jobs"]
