"""The configuration: defaults < file < environment < flags, and errors that say what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kontaktcenter.config import ConfigError, foreign, load

if TYPE_CHECKING:
    from pathlib import Path


def test_without_anything_said_the_users_state_folder_is_used(tmp_path: Path) -> None:
    config = load(environ={"HOME": str(tmp_path)})

    assert config.data == tmp_path / ".local" / "state" / "kontaktcenter"
    assert config.log == f"sqlite:{config.data}/log.db"
    assert config.shown()["port"] == {"value": 8080, "source": "default", "env": "KC_PORT"}


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "kontaktcenter.toml").write_text('port = 1\nhost = "::1"\nlanguage = "en"\n')
    environ = {"KC_PORT": "2", "KC_LANG": "sv", "KC_DATA": str(tmp_path)}

    config = load({"port": 3, "host": None}, environ=environ)

    assert (config.port, config.language, config.host) == (3, "sv", "::1")
    assert config.sources["port"] == "flag"
    assert config.sources["language"] == "environment KC_LANG"
    assert config.sources["host"] == f"file {tmp_path / 'kontaktcenter.toml'}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("KC_PORT", "eighty", "port (environment): 'eighty'"),
        ("KC_PORT", "70000", "65535"),
        ("KC_LANG", "fi", "sv"),
        ("KC_LOG", "postgres://x", "memory:"),
        ("KC_LOG", "kafka://localhost", "HOST:PORT"),
        ("KC_LOG_CREATE", "always", "never, safe"),
        ("KC_PROFILE", "prod", "production"),
        ("KC_KAFKA_SECURITY", "TLS", "SASL_SSL"),
        ("KC_NODE_NAME", "x" * 65, "64"),
        ("KC_TARGET_SERVICE_LEVEL", "80", "0"),
        ("KC_TARGET_SERVICE_LEVEL", "nan", "0"),
        ("KC_DATAA", "/tmp/x", "KC_DATA"),
    ],
)
def test_a_bad_value_is_refused_with_its_key_and_what_is_allowed(
    name: str, value: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(environ={"HOME": str(tmp_path), name: value})

    assert said in refused.value.message


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    file = tmp_path / "k.toml"
    file.write_text("prot = 1\n")

    with pytest.raises(ConfigError, match=r"port\?"):
        load(file=file, environ={"HOME": str(tmp_path)})


@pytest.mark.parametrize("text", ["port = ", "port = [1]", "port = true", "\xff"])
def test_a_file_that_cannot_be_used_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "k.toml"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigError):
        load(file=file, environ={"HOME": str(tmp_path)})


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(file=tmp_path / "nowhere.toml", environ={"HOME": str(tmp_path)})


def test_secrets_are_masked_and_never_in_an_error(tmp_path: Path) -> None:
    config = load(environ={"HOME": str(tmp_path), "KC_FACTS_TOKEN": "sesame"})

    assert config.shown()["facts_token"]["value"] == "********"
    assert "sesame" not in repr(config)
    with pytest.raises(ConfigError) as refused:
        load(environ={"HOME": str(tmp_path), "KC_FACTS_TOKEN": "ses\x07ame"})
    assert "ame" not in refused.value.message.replace("name", "")


def test_two_ways_to_give_the_token_are_one_too_many(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "KC_FACTS_TOKEN": "a", "KC_FACTS_TOKEN_FILE": "/b"}

    with pytest.raises(ConfigError):
        load(environ=environ)


def test_variables_of_other_programs_are_listed_and_left_alone(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "KC_DB_PASSWORD": "x"}

    assert load(environ=environ).port == 8080
    assert foreign(environ) == ["KC_DB_PASSWORD"]
