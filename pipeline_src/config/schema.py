"""The JSON schema of `params.yaml`, generated from the models: for editors, and as a reference.

`python -m pipeline_src.config.schema --write` writes it, `--check` says whether it has drifted.
"""

import argparse
import difflib
import json
from pathlib import Path

from pipeline_src.config.study import params_model
from pipeline_src.errors import InputError, run_command
from pipeline_src.files import write_text

SCHEMA_FILE = Path("workflow/schemas/params.schema.json")


def schema_text() -> str:
    """The schema as it is committed."""
    schema = params_model().model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "params.yaml of Fusebench"
    return json.dumps(schema, indent=1) + "\n"


def check(path: Path = SCHEMA_FILE) -> None:
    """Compare the committed schema with the models; a drift is an `InputError` with the first difference."""
    committed = path.read_text(encoding="utf-8") if path.is_file() else ""
    if committed != schema_text():
        lines = difflib.unified_diff(committed.splitlines(), schema_text().splitlines(), lineterm="", n=0)
        change = next((line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")), "")
        raise InputError(f"{path} has drifted from the models ({change.strip()}); run `make schema`")


def main() -> None:
    """Write or check the schema."""
    parser = argparse.ArgumentParser(prog="python -m pipeline_src.config.schema", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help=f"write {SCHEMA_FILE}")
    action.add_argument("--check", action="store_true", help="fail when the committed schema has drifted")
    if parser.parse_args().write:
        write_text(SCHEMA_FILE, schema_text())
    else:
        check()


if __name__ == "__main__":
    run_command(main)
