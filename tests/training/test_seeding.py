import hashlib
import itertools
import subprocess
import sys

import pytest

from pipeline_src.training.seeding import derive, seed_step


def test_derive_is_the_head_of_a_sha256_over_typed_length_prefixed_parts():
    expected = int.from_bytes(hashlib.sha256(b"i2:17s5:orderi2:-3").digest()[:8], "big") >> 1
    assert derive(17, "order", -3) == expected


def test_derive_is_the_same_in_another_process():
    code = "from pipeline_src.training.seeding import derive; print(derive(1, 'a', 2))"
    assert int(subprocess.check_output([sys.executable, "-c", code])) == derive(1, "a", 2)


def test_derive_separates_parts_that_look_alike():
    looks_alike = [(1, 23), (12, 3), (123,), ("1", 23), (1, "23"), ("123",), (1, 23, ""), ("i2:12", 3), ()]
    seeds = [derive(*parts) for parts in looks_alike]
    assert len(set(seeds)) == len(looks_alike)


def test_derived_seeds_fit_into_63_bits_and_do_not_collide():
    seeds = [derive(*parts) for parts in itertools.product(range(20), range(20), range(20))]
    assert len(set(seeds)) == 8000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


@pytest.mark.parametrize("part", [True, 1.0, None, b"x"])
def test_derive_refuses_parts_without_one_obvious_encoding(part):
    with pytest.raises(TypeError, match=type(part).__name__):
        derive(1, part)


def test_step_seeds_differ_between_steps_ranks_and_runs():
    seeds = {seed_step(*key) for key in itertools.product(range(3), range(50), range(4))}
    assert len(seeds) == 3 * 50 * 4
