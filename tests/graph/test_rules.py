"""What the rules hand to a shell is quoted."""

import re
from pathlib import Path

import pytest

RULES = sorted(Path("workflow", "rules").glob("*.smk"))
SAFE = {"resources.gpu", "threads", "params.options"}
"""Numbers, and what the planner has quoted already."""


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_whatever_is_no_number_is_quoted_in_shells(path):
    for command in re.findall(r"shell:\s+\"(.*)\"", path.read_text()):
        for value in re.findall(r"\{([^}]+)\}", command):
            assert value in SAFE or value.endswith(":q"), f"{path}: {value}"


def test_there_are_commands_to_look_at():
    assert sum(len(re.findall(r"shell:", path.read_text())) for path in RULES) >= 16
