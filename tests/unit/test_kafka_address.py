"""Addresses of a log on Kafka, and the names of its topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Refused
from core.eventlog.kafka_log.address import (
    KafkaAddress,
    KafkaSecurity,
    book_of_topic,
    parse_address,
    topic_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kafka://a:9092", KafkaAddress(("a:9092",))),
        ("kafka://a:9092/", KafkaAddress(("a:9092",))),
        ("kafka://a:1,b.se:2,[::1]:3", KafkaAddress(("a:1", "b.se:2", "[::1]:3"))),
        ("kafka://a:1/town.test", KafkaAddress(("a:1",), "town.test")),
        ("kafka://a:1/t?client=aiokafka", KafkaAddress(("a:1",), "t", "aiokafka")),
        ("kafka://a:1?client=kafka-python", KafkaAddress(("a:1",), "", "kafka-python")),
    ],
)
def test_an_address_says_brokers_prefix_and_client(text: str, expected: KafkaAddress) -> None:
    assert parse_address(text) == expected
    assert parse_address(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kafka:a:9092", "begin with kafka://"),
        ("sqlite:x", "begin with kafka://"),
        ("kafka://", "'' is not HOST:PORT"),
        ("kafka://a", "'a' is not HOST:PORT"),
        ("kafka://a:0", "'a:0' is not HOST:PORT"),
        ("kafka://a:65536", "is not HOST:PORT"),
        ("kafka://a:1,", "'' is not HOST:PORT"),
        ("kafka://a:1/b/c", "the prefix 'b/c'"),
        ("kafka://a:1/å", "the prefix 'å'"),
        ("kafka://a:1/cases", "must not end in 'cases'"),
        ("kafka://a:1/town.cases", "must not end in 'cases'"),
        ("kafka://a:1?client=confluent", "the client 'confluent' is unknown"),
        ("kafka://a:1?client=", "the client '' is unknown"),
        ("kafka://a:1?acks=1", "the option 'acks' is unknown"),
    ],
)
def test_what_is_no_address_is_refused_and_told_what_to_write(text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_address(text)
    assert why in str(refused.value)
    assert "kafka://HOST:PORT" in str(refused.value)


@pytest.mark.parametrize(
    ("prefix", "book", "topic"),
    [
        ("", "calls", "calls"),
        ("town", "calls", "town.calls"),
        ("town", "cases.TK", "town.cases.TK"),
        ("", "cases.TK", "cases.TK"),
        ("town", "cases.å_1", "town.cases._C3_A5_5F1"),
        ("", "my.app", "my_2Eapp"),
        ("", "cases", "cases"),
    ],
)
def test_the_topic_of_a_book(prefix: str, book: str, topic: str) -> None:
    assert topic_of(prefix, book) == topic
    assert book_of_topic(prefix, topic) == book


@given(
    st.sampled_from(["", "town", "town.test", "a_b"]),
    st.text(min_size=1, max_size=20).filter(
        lambda s: not any(0xD800 <= ord(c) < 0xE000 for c in s)
    ),
)
def test_a_topic_gives_its_book_back_and_belongs_to_one_prefix(prefix: str, book: str) -> None:
    topic = topic_of(prefix, book)
    assert book_of_topic(prefix, topic) == book
    for other in {"", "town", "town.test", "a_b"} - {prefix}:
        assert book_of_topic(other, topic) is None


@pytest.mark.parametrize(
    "topic",
    [
        "__consumer_offsets",
        "_schemas",
        "other.calls",
        "a_4",
        "_41",
        "_FF",
        "",
        "cases._2",
        "x._",
        "a_5f",
    ],
)
def test_a_topic_of_somebody_else_is_no_book(topic: str) -> None:
    assert book_of_topic("", topic) is None


def test_a_book_without_a_name_or_with_one_too_long_is_refused() -> None:
    for book in ("", "x" * 250, "å" * 42):
        with pytest.raises(Refused, match="shorter name"):
            topic_of("", book)


def test_an_address_with_a_password_is_refused_without_printing_it() -> None:
    with pytest.raises(Refused) as refused:
        parse_address("kafka://anna:sesam@a:1")
    assert "sesam" not in str(refused.value)


def test_a_password_is_not_printed() -> None:
    assert "sesam" not in repr(KafkaSecurity(password="sesam"))
