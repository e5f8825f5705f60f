"""Every row of every paper's table trained, at scale smoke; slow, since many differ only in a size."""

import json

import pytest
import yaml

from pipeline_src.config.yaml_text import read_yaml
from tests.e2e.conftest import make_clone


@pytest.mark.slow
def test_every_row_of_the_papers_reaches_a_number(tmp_path):
    clone = make_clone(tmp_path / "clone")
    tree = read_yaml(clone.path("params.yaml"))
    for study in tree["scales"]["smoke"]["studies"].values():
        study.pop("only", None)
    clone.path("params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    clone.run("snakemake", "--cores", "all", "--set-threads", "cost=1")
    found = {}
    for path in clone.path("results/smoke/tables").glob("*.json"):
        table = json.loads(path.read_text())["table"]
        (first, *_) = (column["key"] for column in table["columns"] if column["kind"] == "score")
        found[path.stem] = [row["cells"][first]["mean"] for row in table["rows"]]
    assert len(found["scale_eq_table1"]) == 36 and len(found["scale_eq_table2"]) == 16
    assert len(found["deepfuse_table1"]) == len(found["deepfuse_table2"]) == 7
    for table, values in found.items():
        assert None not in values, table
