"""Results as `dvc pull` leaves them, read-only links into a cache, are made again like any others."""

import os
import shutil
import time

import pytest

from pipeline_src.planning.stale_outputs import let_be_replaced
from tests.graph.checkout import Checkout, job_counts

TITLE = "Training loss and validation mIoU"


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    """A finished checkout whose results are read-only and linked elsewhere, and where they are linked."""
    checkout = Checkout.copy_to(tmp_path_factory.mktemp("pulled") / "checkout", "[dfp]")
    checkout.finish()
    cache = checkout.root / "cache"
    for path in (checkout.root / "results").rglob("*"):
        if path.is_file():
            linked = cache / path.relative_to(checkout.root)
            linked.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, linked)
            path.chmod(0o444)
    return checkout


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="nothing is read-only for root")
def test_an_edit_reruns_its_jobs_alone_and_leaves_the_cache(pulled):
    assert pulled.dry_run() == {}
    pulled.edit("params.yaml", TITLE, "Loss")
    drawn = pulled.root / "results/smoke/figures/dfp_curves.svg"
    before = drawn.read_bytes()
    linked = pulled.root / "cache/results/smoke/figures/dfp_curves.svg"
    assert linked.samefile(drawn)
    done = pulled.as_ordinary_user("snakemake", "-n")
    assert job_counts(done) == {"figure": 1, "report": 1}
    assert drawn.read_bytes() == linked.read_bytes() == before
    assert not linked.samefile(drawn)
    assert linked.stat().st_mode & 0o777 == 0o444
    untouched = "results/smoke/figures/dfp_tradeoff.svg"
    assert (pulled.root / "cache" / untouched).samefile(pulled.root / untouched)


def test_results_of_a_clock_that_is_ahead_are_made_again(tmp_path):
    checkout = Checkout.copy_to(tmp_path / "checkout", "[dfp]")
    checkout.finish()
    ahead = time.time() + 3600
    for path in (checkout.root / "results").rglob("*"):
        os.utime(path, (ahead, ahead))
    assert checkout.dry_run() == {}
    checkout.edit("params.yaml", TITLE, "Loss")
    assert checkout.dry_run() == {"figure": 1, "report": 1}
    # nor does what they are made from seem younger than they will be
    runs = (checkout.root / "results/smoke/runs").rglob("curve.csv")
    assert all(path.stat().st_mtime < time.time() for path in runs)


def test_what_is_no_file_of_ones_own_stays(tmp_path):
    plan, target, link = tmp_path / "plan", tmp_path / "target", tmp_path / "link"
    for path in (target, plan):
        path.write_text(path.name)
    link.symlink_to(target)
    os.utime(target, (time.time() + 3600,) * 2)
    let_be_replaced([str(link), str(tmp_path / "missing"), str(tmp_path)], [str(link)], younger=plan)
    assert link.is_symlink() and target.stat().st_mtime > time.time() + 3000
