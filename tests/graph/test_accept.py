"""After a refactoring: results of other code are taken over by the user's word, and nothing else is."""

import json

import pytest

from tests.graph.checkout import Checkout

REASON = "a sum in another order of the same terms"


@pytest.fixture
def edited(tmp_path) -> Checkout:
    """A finished checkout in which the trainings' code was changed since."""
    checkout = Checkout.copy_to(tmp_path / "checkout", "[dfp]")
    checkout.finish()
    checkout.edit("pipeline_src/training/engine.py", "import torch\n", "import torch\n\nUNUSED = 1\n")
    return checkout


def accept(checkout: Checkout, *arguments: str, status: int = 0) -> str:
    done = checkout.run("python", "-m", "pipeline_src", "accept", *arguments, status=status)
    return done.stdout if status == 0 else done.stderr


def test_an_accepted_refactoring_reruns_the_report_alone_and_every_record_says_why(edited):
    before = edited.dry_run()
    assert before["train"] == 7
    assert "7 results could be accepted; nothing was" in accept(edited)
    assert edited.dry_run() == before
    said = accept(edited, "--reason", REASON)
    assert "train  dfp/depth-2/seed-1  pipeline_src/training/engine.py: <module>" in said
    assert "7 results accepted" in said
    assert edited.dry_run() == {"report": 1}
    sidecar = edited.root / "results/smoke/runs/dfp/depth-2/seed-1/train.json"
    (entry,) = json.loads(sidecar.read_text())["accepted"]
    assert entry["reason"] == REASON
    assert entry["changes"] == ["pipeline_src/training/engine.py: <module>"]
    # a lost result is known to be one that would be made in the same way
    for file in sidecar.parent.glob("*"):
        if file.name in ("train.json", "model.safetensors", "log.csv", "curve.csv"):
            file.unlink()
    assert edited.why("evaluate", "dfp/depth-2/seed-1") == []


def test_what_has_other_parameters_is_not_accepted(edited):
    edited.edit("params.yaml", "kind: sgd, lr: 0.02", "kind: sgd, lr: 0.01")
    assert "There is no result" in accept(edited, "--reason", REASON)


def test_a_reason_has_to_say_something(edited):
    assert "--reason: say in a few words" in accept(edited, "--reason", " ", status=2)
    assert edited.dry_run()["train"] == 7
