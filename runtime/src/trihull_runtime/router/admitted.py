"""The clients' file: read, watched, and kept in a copy for the day on which it is damaged."""

from pathlib import Path

from trihull_runtime.contract import Clients, ContractError
from trihull_runtime.contract.codec import write_file
from trihull_runtime.router.files import look
from trihull_runtime.router.state import StateFolder


class AdmittedClients:
    """Who may send requests, from a file; None: there is none, and everybody may."""

    def __init__(self, path: Path | None, state: StateFolder) -> None:
        self._path, self._copy = path, state.clients_path
        self._seen: tuple[int, int, int] | None = None

    def boot(self) -> tuple[Clients | None, ContractError | None]:
        """Return the clients of the file, else the last good ones together with what is wrong with the file.

        Raises:
            ContractError: neither can be used. A router that shall ask for keys never begins without.
        """
        if self._path is None:
            return None, None
        self.changed()
        try:
            clients = self.read()
        except ContractError as error:
            if not self._copy.exists():
                raise
            return Clients.read(self._copy), error
        self.keep(clients)
        return clients, None

    def changed(self) -> bool:
        """Whether the file is another one than at the last look."""
        seen = None if self._path is None else look(self._path)
        changed, self._seen = seen != self._seen, seen
        return changed

    def read(self) -> Clients:
        """Read the file; raises ContractError when it is not what it should be."""
        assert self._path is not None, "only asked for with a file"
        return Clients.read(self._path)

    def keep(self, clients: Clients) -> None:
        """Remember clients that were taken; the copy holds keys, and only we may read it."""
        write_file(self._copy, clients.to_json().encode(), mode=0o600)
