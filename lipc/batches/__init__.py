"""Many questions: read from files of jobs, solved by many processes, kept as lines of a file of results."""
