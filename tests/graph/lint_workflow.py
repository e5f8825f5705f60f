"""`snakemake --lint`, less its remark that rules name no conda environment (jobs run in the project's own).

Run as `python -m tests.graph.lint_workflow`; exits with 1 and prints what is left, if anything is.
"""

import re
import subprocess
import sys
from pathlib import Path

ACCEPTED = {"Specify a conda environment or container for each rule."}


def remaining(report: str) -> list[str]:
    """What the linter found beyond `ACCEPTED`, one line each: `where: title`."""
    where, lines = "", []
    for line in report.splitlines():
        if place := re.fullmatch(r"Lints for (.+):", line):
            where = place[1]
        elif (title := re.fullmatch(r" +\* (.+):", line)) and title[1] not in ACCEPTED:
            lines.append(f"{where}: {title[1]}")
    return lines


def main() -> int:
    """Lint the workflow of this checkout."""
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    done = subprocess.run([snakemake, "--lint"], capture_output=True, text=True)
    report = done.stdout + done.stderr
    if "Lints for" not in report and done.returncode:
        print(report)
        return done.returncode
    left = remaining(report)
    print("\n".join(left) or "snakemake --lint: nothing but missing conda environments")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
