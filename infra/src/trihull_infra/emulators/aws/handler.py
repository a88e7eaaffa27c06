"""One AWS type carried out by moto, and the conversions between Pulumi's names and AWS's."""

import json
from collections.abc import Mapping
from typing import Any

from trihull_infra.emulators.aws.moto import Moto

Values = Mapping[str, Any]


class AwsHandler:
    """What every handler has; `update` does nothing where everything but tags forces a replacement."""

    service = ""

    def __init__(self, moto: Moto) -> None:
        """Speak to `moto`."""
        self.moto = moto

    def client(self, region: str) -> Any:
        """Return the client of this handler's service."""
        return self.moto.client(self.service, region)

    def create(self, region: str, inputs: Values, outputs: Values) -> None:
        """Make it."""
        raise NotImplementedError

    def update(self, region: str, old: Values, new: Values, outputs: Values) -> None:
        """Change it in place; the same call as making it where the service has only one."""
        self.create(region, new, outputs)

    def delete(self, region: str, inputs: Values, outputs: Values) -> None:
        """End it; one that is gone is no error."""
        raise NotImplementedError

    def exists(self, region: str, inputs: Values, outputs: Values) -> bool:
        """Say whether it is there."""
        raise NotImplementedError


def given(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that are set."""
    return {key: value for key, value in arguments.items() if value is not None}


def pascal(value: Any) -> Any:
    """Return a structure with AWS's names: `daysAfterInitiation` -> `DaysAfterInitiation`, `id` -> `ID`."""
    if isinstance(value, Mapping):
        return {
            "ID" if key == "id" else key[:1].upper() + key[1:]: pascal(item)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [pascal(item) for item in value]
    return value


def tag_list(outputs: Values, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Return a resource's tags (with the provider's default ones) as a list of pairs."""
    return [{key: name, value: str(text)} for name, text in (outputs.get("tagsAll") or {}).items()]


def tag_map(outputs: Values) -> dict[str, str]:
    """Return a resource's tags (with the provider's default ones)."""
    return {name: str(text) for name, text in (outputs.get("tagsAll") or {}).items()}


def document(value: Any) -> str:
    """Return a policy as JSON text."""
    return value if isinstance(value, str) else json.dumps(value)
