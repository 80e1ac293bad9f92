"""The city's catalogue: read from a file into facts, and folded into a directory."""

from __future__ import annotations

import pytest
from given import T0, TAXONOMY, city

from core.actions import ACTIONS, wrap_up_actions
from core.taxonomy import Directory, EntryRemoved, EntrySet, read_taxonomy
from core.vocabulary import book_of

TEXT = TAXONOMY.read_text(encoding="utf-8")


def test_the_file_becomes_one_fact_for_each_entry() -> None:
    drafts = read_taxonomy(TEXT, T0)
    assert len(drafts) == 401
    assert len({draft.id for draft in drafts}) == 401
    assert {"centre"} == {book_of(h.stream) for d in drafts for h in d.events}
    assert {None} == {h.version for d in drafts for h in d.events}
    sections = {h.event.section for d in drafts for h in d.events if isinstance(h.event, EntrySet)}
    assert len(sections) == 23


def test_a_second_import_has_the_same_ids_and_the_same_asking() -> None:
    first, second = read_taxonomy(TEXT, T0), read_taxonomy(TEXT, T0)
    assert [(d.id, d.asking) for d in first] == [(d.id, d.asking) for d in second]


def test_what_stands_already_is_left_out() -> None:
    assert read_taxonomy(TEXT, T0, directory=city()) == []


def test_only_what_changed_is_set_anew() -> None:
    changed = TEXT.replace('name = "Avfall"', 'name = "Avfall och återvinning"')
    drafts = read_taxonomy(changed, T0, directory=city())
    keys = {h.event.key for d in drafts for h in d.events if isinstance(h.event, EntrySet)}
    assert "tnh_avfall" in keys
    assert len(drafts) < 5


def test_an_entry_may_go_back_to_what_it_was_before() -> None:
    text = '[[pause_reason]]\nid = "a"\nname = "{}"\ndeduct = true\nmax_minutes = 5\nkind = "pause"'
    one, two, back = (text.format(name) for name in ("ett", "två", "ett"))
    directory, ids = Directory(), []
    for file in (one, two, back, two):
        (draft,) = read_taxonomy(file, T0, directory=directory)
        ids.append(draft.id)
        directory = Directory.of((h.event for h in draft.events), directory)
    assert len(set(ids)) == 4


def test_dates_become_texts() -> None:
    row = city().rows("meta")["as_of"]
    assert row == {"value": "2026-11-01"}


def test_the_group_of_a_queue_is_found_by_the_exchanges_own_name() -> None:
    group = city().group_of_queue("avfall")
    assert (
        group.id, group.name, group.centre, group.partition, group.excluded, group.known,
    ) == ("tnh_avfall", "Avfall", "tnh", ("TK",), False, True)  # fmt: skip


def test_an_unknown_queue_gets_a_group_of_its_own_name() -> None:
    group = city().group_of_queue("ny")
    assert (group.id, group.name, group.known, group.excluded) == ("ny", "ny", False, False)


@pytest.mark.requirement("R11")
def test_exactly_the_groups_of_excluded_authorities_are_excluded() -> None:
    excluded = {group for group in city().groups if city().is_excluded(group)}
    assert {"ext_soc", "ext_fun"} == excluded
    assert city().is_excluded("social_vidare"), "also by the queue's name"
    assert not city().is_excluded("ny")


@pytest.mark.requirement("R22", "R26")
def test_a_number_and_a_key_lead_to_a_group() -> None:
    found = city().groups_of_choice("08-465 004 02", "1")
    assert [group.id for group in found] == ["sdn_aldre"]
    assert [group.id for group in city().groups_of_choice("0846500403", None)] == ["tnh_avfall"]
    assert city().groups_of_choice("112", "1") == []
    assert city().groups_of_choice(None, None) == []


def test_before_the_key_is_known_all_groups_of_the_menu_are_possible() -> None:
    possible = {group.id for group in city().groups_of_choice("08-465 004 02", None)}
    assert {"sdn_aldre", "ext_soc", "ext_fun"} <= possible
    assert [g.id for g in city().groups_of_choice("08-465 004 02", "7")] == ["sdn_allmant"]


def test_an_entry_that_is_withdrawn_is_gone_and_may_come_back() -> None:
    gone = Directory.of([EntryRemoved("answer_group", "tnh_avfall")], city())
    assert not gone.group_of_queue("avfall").known
    assert city().group_of_queue("avfall").known, "the directory before is as it was"
    (draft,) = read_taxonomy(TEXT, T0, directory=gone)
    back = Directory.of((h.event for h in draft.events), gone)
    assert back.group_of_queue("avfall").known


def test_no_two_actions_have_one_key() -> None:
    for keys in (
        [a.web_key for a in ACTIONS.values() if a.web_key],
        [a.terminal_key for a in ACTIONS.values() if a.terminal_key],
        [a.web_key for a in wrap_up_actions(city())],
    ):
        assert len(keys) == len(set(keys))
    assert len(wrap_up_actions(city())) == 18
