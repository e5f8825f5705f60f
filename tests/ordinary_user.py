"""Commands without root's right to write what is read-only."""

import os
import shutil


def without_root() -> tuple[str, ...]:
    """What such a command begins with; nothing for a user who has no such right."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return ()
    return ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
