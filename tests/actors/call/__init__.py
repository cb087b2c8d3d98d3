"""Whole calls, on virtual time."""

import pytest

pytest.register_assert_rewrite("tests.actors.call.scenarios")
