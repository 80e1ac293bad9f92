"""The secret of a trial on Kafka: where nobody gave one, it stands in the log's own genesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, Refused
from core.eventlog.envelope import Genesis, Unreadable, decode_envelope, encode_genesis
from core.eventlog.secret import load_secret
from core.limits import FORMAT
from core.personal import CitySecret
from core.vocabulary import CENTRE

if TYPE_CHECKING:
    from core.eventlog.log import LogStore
    from core.eventlog.settings import NodeSettings

_KEPT: Final = "trial.key"  # beside the index: whoever accepts another log by deleting that, too
_WAIT_S: Final = 2.0


async def trial_secret(store: LogStore, settings: NodeSettings) -> CitySecret:
    """The secret in the genesis of the centre's book; put there where the book is empty.

    Kept beside the index, so that the next start does not need the log.
    Raises: Refused where the log was made with a city secret, Corrupt, Unavailable.
    """
    kept = settings.data / "index" / _KEPT
    if kept.exists():
        return load_secret(kept, may_make=False, entropy=b"")
    log = await store.open_shard(CENTRE, 0)
    if await log.end() == 0:
        made = settings.entropy(32)
        fingerprint = CitySecret(made).fingerprint
        genesis = Genesis(CENTRE, 0, 1, FORMAT, fingerprint, trial_secret=made.hex())
        await log.append(encode_genesis(genesis))  # of several nodes the first one's holds
    first = await log.read(0, 1, _WAIT_S)
    try:
        found = decode_envelope(first[0].body).genesis if first else None
    except Unreadable:
        found = None
    if found is None:
        raise Corrupt(f"the log of {CENTRE}/0 does not begin with its genesis: check KC_LOG")
    if found.trial_secret is None:
        raise Refused(
            "the log was made with a city secret, and this node has none: put city.key in place "
            "and name it (KC_MASTER_KEY_FILE)"
        )
    return load_secret(kept, may_make=True, entropy=bytes.fromhex(found.trial_secret))
