"""Files that belong to cases: sealed with the subject's key, outside the log, by their content.

A file lies at `FOLDER/ab/abcd…`, the SHA-256 of its sealed bytes. It begins with a line of JSON:
the key's id and a random id of its own; then come chunks of AES-256-GCM, each bound to that id, its
number and whether it is the last, so that none can be moved, left out or cut off. What is half
written lies in `FOLDER/incoming`, sealed too: nothing is ever here in clear.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.errors import Corrupt, Invalid, Unavailable
from core.limits import ATTACHMENT_BYTES_MAX, ATTACHMENT_CHUNK_BYTES
from core.personal import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from core.personal import DataKey

_LAYOUT: Final = 1
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_BOX_BYTES: Final = _NONCE_BYTES + ATTACHMENT_CHUNK_BYTES + _TAG_BYTES
_HEAD_BYTES_MAX: Final = 1_024
_INCOMING: Final = "incoming"
_HEX: Final = frozenset("0123456789abcdef")
_ADDRESS_CHARS: Final = 64


class AttachmentTooLarge(Invalid):
    """The file is too large to be kept with a case."""


class AttachmentGone(Corrupt):
    """A file that a case names is not there: restore it from a backup."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it was stored: where, with which key, and how many bytes it has in clear."""

    address: str
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Head:
    """What a stored file says of itself."""

    key: str
    id: str
    layout: int = _LAYOUT


class Attachments:
    """The folder of attachments. Blocking: not on a loop. `entropy` gives random bytes.

    Several nodes may share one; what each is taking in lies in a folder of its own (`node`).
    """

    def __init__(
        self, folder: Path, entropy: Callable[[int], bytes] = os.urandom, node: str = ""
    ) -> None:
        self.folder, self._entropy = folder, entropy
        self._incoming = folder / _INCOMING / node

    def begin(self, key: DataKey) -> Incoming:
        """Start to take a file in. Raises: Unavailable where the folder cannot be written."""
        try:
            incoming = self._incoming
            incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            head = Head(key.id, self._entropy(16).hex())
            return Incoming(self, incoming / head.id, key, head, self._entropy)
        except OSError as e:
            raise _unavailable(e) from e

    def path(self, address: str) -> Path:
        """Where a file lies. Raises: Invalid for what is no address."""
        if len(address) != _ADDRESS_CHARS or not _HEX.issuperset(address):
            raise Invalid("this is not the address of a file", field="address")
        return self.folder / address[:2] / address

    def head(self, address: str) -> Head:
        """What the file at an address says of itself. Raises: AttachmentGone, Corrupt."""
        with self._opened(address) as file:
            return _read_head(file, address)

    def chunks(self, address: str, key_of: Callable[[str], DataKey | None]) -> Iterator[bytes]:
        """The file's content in clear, piece by piece; nothing where its key was erased.

        Raises: AttachmentGone, Corrupt where it is not as it was written.
        """
        with self._opened(address) as file:
            head = _read_head(file, address)
            key = key_of(head.key)
            if key is None:
                return
            cipher = _cipher(key.secret)
            box, number = file.read(_BOX_BYTES), 0
            while True:
                following = file.read(_BOX_BYTES)
                yield _open_box(cipher, box, _place(head.id, number, last=not following), address)
                if not following:
                    return
                box, number = following, number + 1

    @contextlib.contextmanager
    def _opened(self, address: str) -> Iterator[BinaryIO]:
        try:
            file = self.path(address).open("rb")
        except FileNotFoundError as e:
            raise AttachmentGone(address=address) from e
        except OSError as e:
            raise _unavailable(e) from e
        with file:
            yield file

    def verify(self, address: str) -> None:
        """Read a file through. Raises: AttachmentGone, Corrupt where its bytes have changed."""
        digest = hashlib.sha256()
        with self._opened(address) as file:
            while chunk := file.read(_BOX_BYTES):
                digest.update(chunk)
        if digest.hexdigest() != address:
            raise Corrupt(f"the attachment {address} is not as it was written", address=address)

    def addresses(self) -> Iterator[str]:
        """The addresses of all files that are there, in their order."""
        if not self.folder.is_dir():
            return
        for part in sorted(p for p in self.folder.iterdir() if p.name != _INCOMING and p.is_dir()):
            for path in sorted(part.iterdir()):
                if len(path.name) == _ADDRESS_CHARS and _HEX.issuperset(path.name):
                    yield path.name

    def age_s(self, address: str, now_s: float) -> float:
        """How long ago a file was written; 0 where it has gone meanwhile."""
        try:
            return now_s - self.path(address).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def remove(self, address: str) -> bool:
        """Take a file away, for good when this returns; whether there was one."""
        path = self.path(address)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as e:
            raise _unavailable(e) from e
        sync_folder(path.parent)
        return True

    def clear_incoming(self) -> int:
        """Take away what was being written when a process of this node ended; how many.

        At a start alone, before anything is taken in.
        """
        folder = self._incoming
        left = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


class Incoming:
    """A file on its way in: `write` pieces, then `finish`, or `give_up`. One thread at a time."""

    def __init__(
        self,
        store: Attachments,
        path: Path,
        key: DataKey,
        head: Head,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._store, self._path, self._key, self._head = store, path, key, head
        self._entropy = entropy
        self._cipher = _cipher(key.secret)
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._number = self._size = 0
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(opened, "wb")
        line = {"layout": head.layout, "key": head.key, "id": head.id}
        self._put(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def write(self, piece: bytes) -> None:
        """Take a piece in. Raises: AttachmentTooLarge, Unavailable."""
        self._size += len(piece)
        if self._size > ATTACHMENT_BYTES_MAX:
            raise AttachmentTooLarge(
                f"The file is larger than {ATTACHMENT_BYTES_MAX} bytes.",
                limit=ATTACHMENT_BYTES_MAX,
            )
        self._waiting += piece
        while len(self._waiting) > ATTACHMENT_CHUNK_BYTES:  # the last one is known at the end alone
            self._seal(bytes(self._waiting[:ATTACHMENT_CHUNK_BYTES]), last=False)
            del self._waiting[:ATTACHMENT_CHUNK_BYTES]

    def finish(self) -> Stored:
        """The file is at its address, on disk, with its folder. Raises: Unavailable."""
        try:
            self._seal(bytes(self._waiting), last=True)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            address = self._digest.hexdigest()
            path = self._store.path(address)
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700)
                sync_folder(self._store.folder)
            self._path.rename(path)
            sync_folder(path.parent)
        except OSError as e:
            raise _unavailable(e) from e
        return Stored(address, self._key.id, self._size)

    def give_up(self) -> None:
        """Leave nothing behind. Safe after `finish`, which has then taken it away from here."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)

    def _seal(self, clear: bytes, *, last: bool) -> None:
        nonce = self._entropy(_NONCE_BYTES)
        place = _place(self._head.id, self._number, last=last)
        self._put(nonce + self._cipher.encrypt(nonce, clear, place))
        self._number += 1

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        try:
            self._file.write(data)
        except OSError as e:
            raise _unavailable(e) from e


def sync_folder(path: Path) -> None:
    """Return when a folder's entries are on disk."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def subject_of_head(head: Head) -> str:
    """Whose key a file is sealed with."""
    return subject_of(head.key)


def _place(file_id: str, number: int, *, last: bool) -> bytes:
    return f"attachment/{file_id}/{number}/{'last' if last else 'more'}".encode()


def _read_head(file: BinaryIO, address: str) -> Head:
    line = file.readline(_HEAD_BYTES_MAX)
    try:
        told = json.loads(line)
        head = Head(str(told["key"]), str(told["id"]), int(told["layout"]))
    except (ValueError, KeyError, TypeError) as e:
        raise Corrupt(f"the attachment {address} is damaged", address=address) from e
    if head.layout != _LAYOUT:
        raise Corrupt(f"the attachment {address} is of another layout", address=address)
    return head


def _open_box(cipher: AESGCM, box: bytes, place: bytes, address: str) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- as in core.personal

    try:
        return cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], place)
    except (InvalidTag, ValueError) as e:
        raise Corrupt(f"the attachment {address} is not as it was written", address=address) from e


def _cipher(secret: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- as above

    return AESGCM(secret)


def _unavailable(error: OSError) -> Unavailable:
    return Unavailable(
        f"attachments cannot be kept ({error.strerror}): check the disk, the folder and its rights",
        neighbour="attachments",
        retry_after_s=5,
    )
