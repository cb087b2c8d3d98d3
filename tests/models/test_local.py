from __future__ import annotations

import subprocess
import sys

import pytest

from models.local import EngineMissing, require

ENGINES = ("models.stt.pocketsphinx", "models.stt.pocketsphinx_worker", "models.tts.espeak")


def test_the_engines_can_be_imported_without_their_packages() -> None:
    missing = "import sys; sys.modules.update(pocketsphinx=None, espeakng_loader=None)"
    program = f"{missing}; import {', '.join(ENGINES)}"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_missing_package_is_named_with_what_to_install() -> None:
    with pytest.raises(EngineMissing) as raised:
        require("ours", "no_such_package_of_ours")
    assert str(raised.value) == (
        "the engine 'ours' is configured, but the package 'no_such_package_of_ours' is not"
        " installed. It comes with an optional extra: pip install 'troupe[local]'."
        " Or choose another engine in config.toml."
    )


def test_a_package_that_is_there_is_fine() -> None:
    require("ours", "attrs")
