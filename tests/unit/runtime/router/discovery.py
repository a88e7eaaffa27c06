"""Discovery responses of endpoints, read by protobuf's own library from the messages as Envoy's API declares them."""

from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    struct_pb2,
    wrappers_pb2,
)

OPTIONAL, REPEATED = (
    descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
)
UINT, STRING, MESSAGE, ENUM = (
    descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE,
    descriptor_pb2.FieldDescriptorProto.TYPE_ENUM,
)
PACKAGE = "envoy.config.endpoint.v3"
# Message -> its fields: number, name, type, and whether there may be many. Envoy v1.40, the part that a router uses.
MESSAGES: dict[str, list[tuple[int, str, str, bool]]] = {
    "SocketAddress": [(2, "address", "string", False), (3, "port_value", "uint32", False)],
    "Address": [(1, "socket_address", "SocketAddress", False)],
    "HealthCheckConfig": [(1, "port_value", "uint32", False), (2, "hostname", "string", False)],
    "Endpoint": [
        (1, "address", "Address", False), (2, "health_check_config", "HealthCheckConfig", False),
        (3, "hostname", "string", False),
    ],
    "FilterMetadataEntry": [(1, "key", "string", False), (2, "value", ".google.protobuf.Struct", False)],
    "Metadata": [(1, "filter_metadata", "FilterMetadataEntry", True)],
    "LbEndpoint": [
        (1, "endpoint", "Endpoint", False), (2, "health_status", "HealthStatus", False),
        (3, "metadata", "Metadata", False), (4, "load_balancing_weight", ".google.protobuf.UInt32Value", False),
    ],
    "Locality": [(1, "region", "string", False), (2, "zone", "string", False)],
    "LocalityLbEndpoints": [
        (1, "locality", "Locality", False), (2, "lb_endpoints", "LbEndpoint", True), (5, "priority", "uint32", False),
    ],
    "Policy": [(3, "overprovisioning_factor", ".google.protobuf.UInt32Value", False)],
    "ClusterLoadAssignment": [
        (1, "cluster_name", "string", False), (2, "endpoints", "LocalityLbEndpoints", True),
        (4, "policy", "Policy", False),
    ],
    "DiscoveryResponse": [(1, "version_info", "string", False), (2, "resources", ".google.protobuf.Any", True)],
}  # fmt: skip


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="discovery.proto", package=PACKAGE, syntax="proto3")
    for known in (any_pb2, struct_pb2, wrappers_pb2):
        file.dependency.append(known.DESCRIPTOR.name)
    status = file.enum_type.add(name="HealthStatus")
    for number, name in enumerate(("UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED")):
        status.value.add(name=name, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind, many in fields:
            made = message.field.add(name=field, number=number, label=REPEATED if many else OPTIONAL)
            made.type = {"uint32": UINT, "string": STRING, "HealthStatus": ENUM}.get(kind, MESSAGE)
            if made.type in (MESSAGE, ENUM):
                made.type_name = kind if kind.startswith(".") else f".{PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2, struct_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return pool


POOL = _pool()
RESPONSE = message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.DiscoveryResponse"))


def decoded(data: bytes) -> dict[str, Any]:
    """Return a response as the JSON that Envoy would take for it, fields that are zero or empty left out."""
    value: dict[str, Any] = json_format.MessageToDict(
        RESPONSE.FromString(data), preserving_proto_field_name=True, descriptor_pool=POOL
    )
    for resource in value.get("resources", []):
        for locality in resource["endpoints"]:
            for endpoint in locality["lb_endpoints"]:
                entries = endpoint["metadata"]["filter_metadata"]
                endpoint["metadata"]["filter_metadata"] = {
                    entry.get("key", ""): entry.get("value", {}) for entry in entries
                }
    return value
