"""Whether a row's values exist. Standard library only."""

DONE = "run"
NO_DATA = "no data"
NOT_AT_THIS_SCALE = "not at this scale"
NOT_RUN = "not run"
SERVER_ONLY = "server only"
QUOTED = "quoted"

STATUSES = (DONE, NO_DATA, NOT_AT_THIS_SCALE, NOT_RUN, SERVER_ONLY)
"""Status of a row: `run` when its values exist, else the verdict that says why they do not.

`quoted` is no status of ours: it marks rows of others that a paper prints.
"""
