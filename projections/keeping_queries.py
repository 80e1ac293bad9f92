"""What is asked of cases as they are kept: what is due, whose they are, what was erased.

Every question takes the asker's `Sight`, and gives rows of its rooms alone. Cases of protected
identities are given to those alone who open them: nothing shows that there are any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.retention import Kept
from projections.times import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlite_utils import Database

    from core.access import Sight
    from projections.read_models import ReadModels

NAME: Final = "case_keeping"
PROTOCOLS_MAX: Final = 1_000  # told at once, the latest first
_ERASED: Final = "(SELECT max(us) FROM erased WHERE subject = cases.stream)"
_EXPORTED: Final = (
    "(SELECT max(exported_us) FROM exports WHERE exports.authority = cases.authority"
    " AND begin_us <= closed_us AND closed_us < end_us)"
)
_KEPT: Final = (
    f"SELECT *, {_ERASED} AS erased_us, {_EXPORTED} AS exported_us FROM cases"
    " WHERE authority = :authority AND closed_us IS NOT NULL AND protected <= :protected"
    " ORDER BY closed_us, stream"
)
_OF_CALLER: Final = (
    "SELECT id, closed_us FROM cases WHERE authority = :authority AND caller_ref = :caller_ref"
    " AND protected <= :protected ORDER BY registered_us, stream"
)
_PROTOCOL: Final = "SELECT * FROM protocols WHERE number = ?"
_PROTOCOLS: Final = "SELECT * FROM protocols WHERE authority IN ({}) ORDER BY position DESC LIMIT ?"
_INCOMPLETE: Final = (
    "SELECT * FROM protocols WHERE carried_out_us IS NOT NULL AND completed_us IS NULL"
    " ORDER BY position"
)
_SUBJECTS: Final = "SELECT subject FROM erased WHERE number = ? ORDER BY subject"


def closed_cases(models: ReadModels, sight: Sight, authority: str) -> list[Kept]:
    """The closed cases of an authority, the oldest first. Raises: Unavailable."""
    if authority not in sight.rooms:
        return []
    with models.snapshot(NAME) as db:
        rows = db.query(
            _KEPT, {"authority": authority, "protected": int(authority in sight.protected)}
        )
        return [_kept(row) for row in rows]


def _kept(row: dict[str, Any]) -> Kept:
    erased, exported = row["erased_us"], row["exported_us"]
    return Kept(
        stream=row["stream"],
        authority=row["authority"],
        id=row["id"],
        number=row["number"],
        case_type=row["case_type"],
        closed_at=moment(row["closed_us"]),
        written_at=moment(row["written_us"]),
        registry=row["registry"],
        erased_at=None if erased is None else moment(erased),
        exported_at=None if exported is None else moment(exported),
    )


def cases_of_caller(
    models: ReadModels, sight: Sight, authority: str, caller_ref: str
) -> list[tuple[str, bool]]:
    """The cases that a caller opened with an authority: id, and whether it is closed."""
    if authority not in sight.rooms:
        return []
    protected = int(authority in sight.protected)
    asked = {"authority": authority, "caller_ref": caller_ref, "protected": protected}
    with models.snapshot(NAME) as db:
        return [(row["id"], row["closed_us"] is not None) for row in db.query(_OF_CALLER, asked)]


def protocols(models: ReadModels, sight: Sight) -> list[dict[str, Any]]:
    """The protocols of erasures, the latest first, without what they erased."""
    marks = ",".join("?" * len(sight.rooms))
    with models.snapshot(NAME) as db:
        rows = db.query(_PROTOCOLS.format(marks), [*sorted(sight.rooms), PROTOCOLS_MAX])
        return [_protocol(row) for row in rows]


def protocol(models: ReadModels, sight: Sight, number: str) -> dict[str, Any] | None:
    """One protocol with its `subjects`; None where there is none in these rooms."""
    with models.snapshot(NAME) as db:
        found = next(_in_rooms(db, sight, number), None)
        if found is None:
            return None
        subjects = [row["subject"] for row in db.query(_SUBJECTS, [number])]
        return {**_protocol(found), "subjects": subjects}


def incomplete(models: ReadModels) -> list[dict[str, Any]]:
    """All protocols of which nobody has told that they are complete, with their `subjects`.

    For this program's own work, not for anybody's eyes: there is no asker.
    """
    with models.snapshot(NAME) as db:
        return [
            {
                **_protocol(row),
                "subjects": [s["subject"] for s in db.query(_SUBJECTS, [row["number"]])],
            }
            for row in db.query(_INCOMPLETE)
        ]


def _in_rooms(db: Database, sight: Sight, number: str) -> Iterator[dict[str, Any]]:
    return (row for row in db.query(_PROTOCOL, [number]) if row["authority"] in sight.rooms)


def _protocol(row: dict[str, Any]) -> dict[str, Any]:
    carried, completed = row["carried_out_us"], row["completed_us"]
    kept = {
        name: row[name]
        for name in (
            "number", "authority", "rule", "reference", "purpose", "registrar", "cases", "callers",
            "again", "shard", "position", "keys", "attachments",
        )
    }  # fmt: skip
    return {
        **kept,
        "decided_at": moment(row["decided_us"]).isoformat(),
        "carried_out_at": None if carried is None else moment(carried).isoformat(),
        "completed_at": None if completed is None else moment(completed).isoformat(),
    }
