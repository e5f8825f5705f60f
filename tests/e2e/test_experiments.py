"""`dvc exp run` at another scale, in a clone of its own."""

import yaml

from pipeline_src.config.parameter_layers import merge
from pipeline_src.config.yaml_text import read_yaml
from tests.e2e.conftest import make_clone


def test_dvc_experiments_choose_a_scale(tmp_path):
    clone = make_clone(tmp_path / "clone")
    tree = read_yaml(clone.path("params.yaml"))
    curves = {"kind": "curves", "subject": "curves", "title": "Training"}
    tiny = {
        "select": ["dfp"],
        "cost": {"crop": [64, 64], "repeats": 1},
        "recipes": {"dfp": {"epochs": 1, "freeze_bn_at_epoch": None, "augment": {"crop": [64, 64]}}},
        "studies": {"dfp": {"vary": {"model.pyramid.depth": [0]}, "figures": [curves], "extra_seeds": []}},
    }
    tree["scales"]["tiny"] = merge(tree["scales"]["smoke"], tiny)
    clone.path("params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    for key, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        clone.run("git", "config", key, value)
    clone.run("git", "commit", "-qam", "Add a scale")
    clone.run("dvc", "exp", "run", "-S", "scale=tiny", "dvc.yaml")
    # the archives are no part of it
    assert not clone.run("git", "status", "--short", "data")
    assert clone.path("results/tiny/report.html").is_file()
    assert not clone.path("results/tiny/runs/dfp/depth-1").exists()
