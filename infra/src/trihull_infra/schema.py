"""The JSON Schemas of what people write, for editors: an environment file, and an organisation's.

`python -m trihull_infra.schema` writes them anew; a test compares. They come from the models, so they know names,
types, patterns and bounds. What one value means for another (a zone of its region, a minimum below its maximum) only
`trihull` itself checks: a file that an editor finds right may still be refused.
"""

import json
from pathlib import Path
from typing import Any, Final

from trihull_infra.environment import Environment
from trihull_infra.machines import MACHINES
from trihull_infra.organisation import Organisation

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PACKAGE: Final = Path(__file__).parent / "data"
ENVIRONMENT: Final = "environment.schema.json"
ORGANISATION: Final = "organisation.schema.json"


def environment() -> dict[str, Any]:
    """Return the schema of `stacks/environments/<name>.yaml`."""
    schema = {"$schema": DIALECT, **Environment.model_json_schema(by_alias=True), "title": "A trihull environment"}
    plain = [name for name, machine in MACHINES.items() if machine.accelerator is None]
    having = [name for name, machine in MACHINES.items() if machine.accelerator is not None]
    # Which class is asked for is checked by functions, which no schema can see.
    for model, names in (("SystemPoolSpec", plain), ("PoolSpec", plain), ("AcceleratorPoolSpec", having)):
        schema["$defs"][model]["properties"]["machine"]["enum"] = names
    return _model(schema)


def organisation() -> dict[str, Any]:
    """Return the schema of `stacks/organisation.yaml`."""
    return _model(
        {"$schema": DIALECT, **Organisation.model_json_schema(by_alias=True), "title": "A trihull organisation"}
    )


def _model(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without the titles that only repeat a key: an editor would show them in place of words."""
    titled = isinstance(schema.get("title"), str) and "$schema" not in schema
    return {key: _told(value) for key, value in schema.items() if not (titled and key == "title")}


def _told(value: Any) -> Any:
    if isinstance(value, list):
        return [_told(one) for one in value]
    return _model(value) if isinstance(value, dict) else value


def texts() -> dict[str, str]:
    """Return every schema as it stands in a file, by the file's name."""
    schemas = {ENVIRONMENT: environment(), ORGANISATION: organisation()}
    return {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def write(folder: Path) -> None:
    """Write the schemas into a folder that is there."""
    for name, text in texts().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(PACKAGE)
    reference = Path(__file__).parents[3] / "docs" / "reference"
    if reference.parent.is_dir():  # a checkout
        reference.mkdir(exist_ok=True)
        write(reference)
