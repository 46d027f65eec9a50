"""With CI=true a skipped test is a failure: what is not run there is run nowhere."""

from __future__ import annotations

import os
from typing import Any

import pytest


def _skipped(config: pytest.Config) -> list[Any]:
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return []
    return list(reporter.stats.get("skipped", []))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a passing session with skipped tests into a failing one."""
    if exitstatus == pytest.ExitCode.OK and _skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say why the session fails."""
    skipped = _skipped(config)
    if skipped:
        terminalreporter.write_line(f"CI=true: {len(skipped)} skipped, which counts as a failure", red=True)
