"""The sandbox for these tests: where bubblewrap is missing they are skipped with the reason, except with CI=true."""

import os

import pytest

from homework.grader import Unusable, sandbox


@pytest.fixture(scope="session")
def works() -> None:
    """Skip, or in CI fail, unless an empty job runs in the sandbox here."""
    try:
        sandbox.check()
    except Unusable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{error} (CI=true)")
        pytest.skip(str(error))
