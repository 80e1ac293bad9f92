"""One table of what a person can do and with which key, for the web and for the terminal.

The texts are Swedish, because they are gettext's message ids; English stands in its catalogue. A
city may give other keys; these are the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.taxonomy import Directory


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person can do.

    `text` is the message id; a key is None where the action has none there.
    """

    id: str
    text: str
    web_key: str | None
    terminal_key: str | None


_TABLE: Final = (
    Action("register_call", "Registrera samtal", "n", "n"),
    Action("register_case", "Registrera ärende", "a", "a"),
    Action("answer_call", "Svara", "s", None),
    Action("hold_call", "Parkera", "p", None),
    Action("resume_call", "Återta", "o", None),
    Action("transfer_call", "Koppla vidare", "v", None),
    Action("end_call", "Avsluta samtal", "l", None),
    Action("request_callback", "Boka återuppringning", "r", "r"),
    Action("wrap_up_call", "Avsluta efterarbete", "w", "w"),
    Action("sign_on", "Logga på svarsgrupper", "i", None),
    Action("pause", "Pausa", "z", None),
    Action("unpause", "Avsluta paus", "g", None),
    Action("sign_off", "Logga av svarsgrupper", "u", None),
    Action("search", "Sök", "/", "/"),
    Action("save", "Spara", "Ctrl+Enter", "ctrl+s"),
    Action("cancel", "Avbryt", "Escape", "escape"),
    Action("help", "Visa hjälp", "?", "f1"),
    Action("quit", "Avsluta", None, "ctrl+q"),
)
ACTIONS: Final[Mapping[str, Action]] = MappingProxyType({action.id: action for action in _TABLE})
assert len(ACTIONS) == len(_TABLE), "two actions have one id"


def wrap_up_actions(directory: Directory) -> list[Action]:
    """What a contact can be wrapped up with, each with its one key from the catalogue."""
    return [
        Action(f"wrap_up:{key}", str(row.get("name", key)), str(row["key"]), str(row["key"]))
        for key, row in directory.rows("wrap_up").items()
        if row.get("key")
    ]
