"""`python -m pipeline_src`: the user's windows into the pipeline, and the entry point of every job."""

import sys

from pipeline_src.errors import run_command

if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        # a job runs on machines that lack what the other commands import
        from pipeline_src.running.run_job import main as run_job

        run_command(run_job)
    else:
        from pipeline_src.cli.main import main

        run_command(main)
