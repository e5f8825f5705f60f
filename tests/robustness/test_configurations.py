"""Bad configurations end in one line that names the key, without a hang: those listed, and random ones."""

from pathlib import Path

import pytest

from tests.robustness.planning import HANGS_SECONDS, plan
from tests.robustness.special_configurations import SPECIAL, Special


@pytest.mark.parametrize("special", SPECIAL, ids=lambda special: special.name)
def test_a_special_configuration_is_planned_or_refused_by_its_key(tmp_path: Path, special: Special):
    overlay = tmp_path / "my.yaml"
    overlay.write_bytes(special.content if isinstance(special.content, bytes) else special.content.encode())
    outcome = plan("params.yaml", overlay)
    assert outcome.seconds < HANGS_SECONDS
    if special.key is None:
        assert not outcome.findings
        return
    first = outcome.findings[0]
    assert first.file == str(overlay)
    assert first.text.startswith(f"{special.key}: {special.said}" if special.key else special.said)
