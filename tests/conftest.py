"""What every test shares: options, markers, and how a test is skipped loudly."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import kafka_world
import pytest
from hypothesis import HealthCheck, settings
from kafka_world import (  # noqa: F401 -- fixtures for every test
    _cluster_of_module,
    kafka_broker,
    kafka_cluster,
    kafka_prefix,
    kafka_software,
    own_broker,
)
from net_namespace import namespace  # noqa: F401 -- likewise
from project import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background so, and our programs would inherit it: Ctrl-C is
    # one of the things that are tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
REQUIREMENTS = range(1, 61)

settings.register_profile(
    "short", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("whole", settings.get_profile("short"), max_examples=1_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    ours = parser.getgroup("kontaktcenter")
    ours.addoption(
        "--whole", action="store_true", help="run the long form of fault and property suites"
    )
    ours.addoption(
        "--no-skip-of",
        action="append",
        default=[],
        metavar="MARKER",
        help="fail the run when a test with this marker was skipped (may be given again)",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("whole" if config.getoption("--whole") else "short")
    _compile_catalogues()
    config.pluginmanager.register(SkipWatch(config.getoption("--no-skip-of")), "skip-watch")


def _compile_catalogues() -> None:
    """In a tree that was never built, the screens' words are compiled here."""
    sources = [*ROOT.glob("*/locale/*/LC_MESSAGES/*.po")]
    if all(_is_fresh(s) for s in sources):
        return
    sys.path.insert(0, str(ROOT))
    try:
        from hatch_build import compile_catalogues

        compile_catalogues(ROOT)
    finally:
        sys.path.remove(str(ROOT))


def _is_fresh(source: Path) -> bool:
    target = source.with_suffix(".mo")
    return target.exists() and target.stat().st_mtime >= source.stat().st_mtime


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = {
        "browser": None if browser() else "no Chromium here: apt-get install chromium",
        "terminal": None if shutil.which("tmux") else "no tmux here: apt-get install tmux",
        "root": None if os.geteuid() == 0 else "needs root: run it as root or in CI",
    }
    kafka_world.mark(items)
    for item in items:
        for marker, reason in missing.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
        for mark in item.iter_markers("requirement"):
            unknown = [n for n in mark.args if str(n) not in {f"R{k}" for k in REQUIREMENTS}]
            if unknown or not mark.args:
                raise pytest.UsageError(
                    f"{item.nodeid}: no such requirement: {unknown or 'none given'}"
                )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (logs := kafka_world.told_logs(item)):
        report.sections.append(("Kafka's logs", logs))
    return report


def browser() -> str | None:
    """The path of the system's Chromium, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class SkipWatch:
    """Fails a run in which a test that must not be skipped was skipped."""

    def __init__(self, markers: list[str]) -> None:
        self._markers = markers
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            hit = [m for m in self._markers if m in report.keywords]
            if hit:
                self._skipped.append(f"{report.nodeid} ({', '.join(hit)})")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and not hasattr(session.config, "workerinput"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in self._skipped:
            terminalreporter.write_line(f"MUST NOT BE SKIPPED HERE: {test}", red=True)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium; tests that use it are marked `browser`."""
    found = browser()
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def whole(request: pytest.FixtureRequest) -> bool:
    """True in `make faults`: the long form was asked for."""
    return bool(request.config.getoption("--whole"))
