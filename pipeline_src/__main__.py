"""`python -m pipeline_src`: the user's windows into the pipeline."""

from pipeline_src.cli.main import main
from pipeline_src.errors import run_command

if __name__ == "__main__":
    run_command(main)
