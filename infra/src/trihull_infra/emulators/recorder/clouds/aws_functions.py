"""Functions (data sources) of AWS that the emulators answer, and IAM's policy language as the provider writes it."""

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from trihull_infra.emulators import guards
from trihull_infra.emulators.plugins.provider import RefusedError
from trihull_infra.emulators.recorder.answers import Place
from trihull_infra.emulators.recorder.identities import certificate_authority, digits

ACCOUNT: Final = guards.ACCOUNT
ZONES: Final = ("a", "b", "c")


def invoke(
    function: str, arguments: Mapping[str, Any], place: Place, find: Callable[[str, str], Any]
) -> dict[str, Any]:
    """Answer a function; `find(token, id)` gives a recorded resource's outputs.

    Raises:
        RefusedError: the function is not emulated.
    """
    where = str(arguments.get("region") or place.region)
    if function == "aws:index/getCallerIdentity:getCallerIdentity":
        return {"accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "userId": ACCOUNT, "id": ACCOUNT}
    if function == "aws:index/getRegion:getRegion":
        return {
            "id": where,
            "name": where,
            "region": where,
            "description": where,
            "endpoint": f"ec2.{where}.amazonaws.com",
        }
    if function == "aws:index/getPartition:getPartition":
        return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}
    if function == "aws:index/getAvailabilityZones:getAvailabilityZones":
        names = [f"{where}{zone}" for zone in ZONES]
        ids = [f"{where}-az{index}" for index in range(1, len(ZONES) + 1)]
        return {"id": where, "names": names, "zoneIds": ids, "groupNames": [where], "region": where}
    if function == "aws:iam/getPolicyDocument:getPolicyDocument":
        document = _policy_document(arguments)
        text = json.dumps(document, indent=2)
        return {
            **arguments,
            "id": str(zlib.crc32(text.encode())),
            "json": text,
            "minifiedJson": json.dumps(document, separators=(",", ":")),
        }
    found = _find_existing(function, arguments, place, find, where)
    if found is not None:
        return found
    raise RefusedError(f"{function} is not emulated; see docs/emulators.md for the functions that are")


def _find_existing(
    function: str, arguments: Mapping[str, Any], place: Place, find: Callable[[str, str], Any], where: str
) -> dict[str, Any] | None:
    """Answer a look-up of what is there already; what nobody made here counts as made by somebody else.

    The account is nobody's, so what an environment names as existing (`existing`) is answered for as a cloud would.
    """
    if function == "aws:eks/getCluster:getCluster":
        name = str(arguments.get("name"))
        made = find("aws:eks/cluster:Cluster", name)
        if made is not None:
            return {**made, "id": name, "certificateAuthorities": [made["certificateAuthority"]]}
        return {
            "id": name,
            "name": name,
            "arn": f"arn:aws:eks:{where}:{ACCOUNT}:cluster/{name}",
            "endpoint": f"https://{digits(name, where)[:32].upper()}.gr7.{where}.eks.amazonaws.com",
            "certificateAuthorities": [{"data": certificate_authority(name, where)}],
        }
    if function == "aws:ecr/getRepository:getRepository":
        name = str(arguments.get("name"))
        made = find("aws:ecr/repository:Repository", name)
        return {
            "id": name,
            "name": name,
            "arn": f"arn:aws:ecr:{where}:{ACCOUNT}:repository/{name}",
            "repositoryUrl": f"oci-layout://{place.registries / place.site / name}",
            **(made or {}),
        }
    if function == "aws:ec2/getSubnet:getSubnet":
        subnet = str(arguments.get("id"))
        made = find("aws:ec2/subnet:Subnet", subnet)
        return {"id": subnet, "vpcId": arguments.get("vpcId") or "", "mapPublicIpOnLaunch": False, **(made or {})}
    return None


def _policy_document(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write the JSON that `aws.iam.get_policy_document` writes: single values unwrapped, keys in IAM's case."""
    statements = []
    for given in arguments.get("statements") or []:
        statement: dict[str, Any] = {"Effect": given.get("effect") or "Allow"}
        if given.get("sid"):
            statement["Sid"] = given["sid"]
        for key, name in (
            ("actions", "Action"),
            ("notActions", "NotAction"),
            ("resources", "Resource"),
            ("notResources", "NotResource"),
        ):
            if given.get(key):
                statement[name] = _single(given[key])
        for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
            if given.get(key):
                everyone = any(item["type"] == "*" for item in given[key])
                statement[name] = (
                    "*" if everyone else {item["type"]: _single(item["identifiers"]) for item in given[key]}
                )
        for condition in given.get("conditions") or []:
            tests = statement.setdefault("Condition", {})
            tests.setdefault(condition["test"], {})[condition["variable"]] = _single(condition["values"])
        statements.append(statement)
    return {"Version": arguments.get("version") or "2012-10-17", "Statement": statements}


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
