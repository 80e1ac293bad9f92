"""Registering calls line by line: a question, an answer, and "saved" only when it is on the disk.

No screen library, so it runs in any terminal and with a screen reader. Where the answer is not
understood the question comes again with the reason; an empty answer passes over what may be left
out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, KontaktcenterError, Refused
from core.limits import RESERVE_NOTE_CHARS_MAX
from core.reserve import (
    CALL_REGISTERED,
    SCHEMA,
    ChainBroken,
    Entry,
    Group,
    RegisterCall,
    as_occurred,
    check,
    decide,
    is_number,
    plain_number,
)
from core.vocabulary import WrapUpOutcome
from fallback_tui.journal import Journal, NotSaved

if TYPE_CHECKING:
    from fallback_tui.seal import Sealer

_OUTCOMES: Final = tuple(WrapUpOutcome)
_LIST: Final = "?"
_BACK: Final = "<"  # the registration is begun anew


class BegunAnew(Exception):
    """The agent wants to begin this call anew."""


class Finished(Exception):
    """The agent has no further call."""


@dataclass(frozen=True)
class Around:
    """What the dialogue takes from its edge.

    `ask` shows a prompt and gives the line (EOFError at the end of input); `tell` shows a line; `_`
    translates; `now` is wall time with its offset; `tick_ns` the monotonic clock; `undisturbed`
    holds Ctrl-C back.
    """

    ask: Callable[[str], str]
    tell: Callable[[str], None]
    _: Callable[[str], str]
    now: Callable[[], datetime]
    tick_ns: Callable[[], int]
    undisturbed: Callable[[], AbstractContextManager[None]]
    actor: str
    boot: str


class Lines:
    """The dialogue with one agent over one journal.

    Without a `sealer` no number and no note is asked for.
    """

    def __init__(
        self, around: Around, journal: Journal, sealer: Sealer | None, groups: Sequence[Group]
    ) -> None:
        self._around = around
        self._journal = journal
        self._sealer = sealer
        self._groups = groups
        self._listed = False

    def run(self) -> None:
        """Register calls until the agent is done. Raises: EOFError, KeyboardInterrupt, Corrupt."""
        _, tell = self._around._, self._around.tell
        while True:
            try:
                self._one_call()
            except BegunAnew:
                tell(_("Begun anew. Nothing of it was saved."))
            except Finished:
                return

    def _one_call(self) -> None:
        _, tell = self._around._, self._around.tell
        tell("")
        group = self._group()
        began = self._around.now()
        command = RegisterCall(
            group=group,
            caller=self._caller(group),
            matter=self._matter(group),
            outcome=self._outcome(),
            note=self._note(group),
        )
        while True:
            self._confirm()
            try:
                number = self._save(command, began)
            except NotSaved as problem:
                tell(
                    _("NOT SAVED. The computer could not write: {reason}.").format(
                        reason=problem.details.get("reason", "?")  # in SQLite's own words
                    )
                )
                tell(_("Write the call down on paper. Press Enter to try again."))
            except Refused as problem:
                tell(_("NOT SAVED: {reason}.").format(reason=plain(problem, _)))
                return
            else:
                tell(_("Saved on the computer. Reserve number {number}").format(number=number))
                return

    def _confirm(self) -> None:
        while self._line(self._around._("Enter saves, < begins anew")):
            self._around.tell(
                self._around._("Press Enter alone to save, or write < to begin anew.")
            )

    def _save(self, command: RegisterCall, began: datetime) -> str:
        """The reserve number, when the entry is on the disk.

        Ctrl-C waits until the journal is at rest.
        """
        with self._around.undisturbed():
            head, sealer = self._journal.head, self._sealer
            check(command)
            caller = sealer.seal(head, "caller", command.caller) if sealer else None
            note = sealer.seal(head, "note", command.note) if sealer else None
            payload = decide(head, command, caller, note)
            self._journal.append(
                Entry(
                    device=head.device,
                    epoch=head.epoch,
                    seq=head.seq + 1,
                    prev_hash=head.hash,
                    kind=CALL_REGISTERED,
                    schema=SCHEMA,
                    occurred_at=as_occurred(began),
                    actor=self._around.actor,
                    monotonic_ns=self._around.tick_ns(),
                    boot=self._around.boot,
                    payload=payload,
                )
            )
        return str(payload["number"])

    def _group(self) -> Group:
        _ = self._around._
        while True:
            if not self._listed:
                self._list(_("Answer group"), [self._title(g) for g in self._groups])
                self._listed = True
            answer = self._line(_("Group (number, ? lists them, Enter ends)"))
            if not answer:
                raise Finished
            if answer == _LIST:
                self._listed = False
            elif (chosen := self._pick(answer, len(self._groups))) is not None:
                group = self._groups[chosen]
                if group.excluded:
                    self._around.tell(
                        _("Connect it onward. No number, matter or text is kept for this group.")
                    )
                return group

    def _title(self, group: Group) -> str:
        return (
            f"{group.name} {self._around._('(connect onward only)')}"
            if group.excluded
            else group.name
        )

    def _caller(self, group: Group) -> str:
        _ = self._around._
        if group.excluded or self._sealer is None:
            return ""
        while True:
            number = plain_number(self._line(_("Caller's number (Enter passes over)")))
            if not number or is_number(number):
                return number
            self._around.tell(
                _("A telephone number has 5 to 15 digits. Write it again, or press Enter.")
            )

    def _matter(self, group: Group) -> str:
        _ = self._around._
        if not group.matters:
            return ""
        self._list(_("Type of matter"), [name for _code, name in group.matters])
        while True:
            answer = self._line(_("Matter (number, Enter passes over)"))
            if not answer:
                return ""
            if (chosen := self._pick(answer, len(group.matters))) is not None:
                return group.matters[chosen][0]

    def _outcome(self) -> WrapUpOutcome:
        _ = self._around._
        names = {
            WrapUpOutcome.SOLVED: _("solved"),
            WrapUpOutcome.GUIDED: _("guided on"),
            WrapUpOutcome.ESERVICE: _("referred to an e-service"),
            WrapUpOutcome.HANDED_OVER: _("handed over"),
            WrapUpOutcome.CALLBACK: _("to be called back"),
        }
        self._list(_("Outcome"), [names[o] for o in _OUTCOMES])
        while True:
            if (
                chosen := self._pick(self._line(_("Outcome (number)")), len(_OUTCOMES))
            ) is not None:
                return _OUTCOMES[chosen]

    def _note(self, group: Group) -> str:
        _ = self._around._
        if group.excluded or self._sealer is None:
            return ""
        while True:
            note = self._line(_("Note, one line (Enter passes over)"))
            if len(note) <= RESERVE_NOTE_CHARS_MAX:
                return note
            self._around.tell(
                _("A note has at most {max} characters.").format(max=RESERVE_NOTE_CHARS_MAX)
            )

    def _list(self, title: str, names: Sequence[str]) -> None:
        self._around.tell(f"{title}:")
        for n, name in enumerate(names, 1):
            self._around.tell(f"{n:4}  {name}")

    def _pick(self, answer: str, among: int) -> int | None:
        """The index chosen by `answer`, or None after telling what is asked for."""
        if answer.isascii() and answer.isdigit() and 1 <= int(answer[:9]) <= among:
            return int(answer) - 1
        self._around.tell(
            self._around._("Write a number from 1 to {among}, then Enter.").format(among=among)
        )
        return None

    def _line(self, prompt: str) -> str:
        answer = self._around.ask(f"{prompt}: ")
        clean = "".join(c for c in answer if c.isprintable()).strip()
        if clean == _BACK:
            raise BegunAnew
        return clean


def plain(problem: KontaktcenterError, words: Callable[[str], str]) -> str:
    """The problem as a part of a sentence."""
    return words(problem.message).rstrip(".")


def banner(
    around: Around, journal: Journal, as_of: str, why_not_sealed: KontaktcenterError | None
) -> None:
    """The first lines: what this is, what is saved, and what cannot be."""
    _, head = around._, journal.head
    around.tell(_("RESERVE · Kontaktcenter · device {device}").format(device=head.device))
    around.tell(
        _("{count} calls saved on the computer. Copy of groups from {as_of}.").format(
            count=head.numbers, as_of=as_of
        )
    )
    around.tell(_("An empty answer passes over. < begins the call anew. Ctrl-D ends."))
    if why_not_sealed is not None:
        around.tell(
            _("NOTE: number and note cannot be saved here: {reason}.").format(
                reason=plain(why_not_sealed, _)
            )
        )


def broken(around: Around, problem: Corrupt, folder: str) -> None:
    """What to do when the journal does not hold."""
    _, tell = around._, around.tell
    chain = ChainBroken.__doc__ or ""
    reason = _(chain).rstrip(".") if isinstance(problem, ChainBroken) else plain(problem, _)
    tell(
        _("The journal in {folder} cannot be used: {reason}.").format(folder=folder, reason=reason)
    )
    if "intact" in problem.details:
        tell(
            _("Entries that hold, from the first: {count}.").format(count=problem.details["intact"])
        )
    tell(_("Do not delete anything. Write calls down on paper and call the shift lead."))
