"""The bytes on the wire are Envoy's: numbers and types written by hand, not by the compiler."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto

from admissibility_devtools.tools.places import repository_root
from admissibility_devtools.tools.protos import generate
from sidecar._pb import ext_authz_pb2 as pb
from tests.contract.proto.wire import declared, field, varint

# What each message has in Envoy's v3 API, of what we use: number → (name, type).
FIELDS: dict[str, dict[int, tuple[str, str]]] = {
    "CheckRequest": {1: ("attributes", "AttributeContext")},
    "AttributeContext": {
        1: ("source", "AttributeContext.Peer"),
        2: ("destination", "AttributeContext.Peer"),
        4: ("request", "AttributeContext.Request"),
        10: ("context_extensions", "repeated AttributeContext.ContextExtensionsEntry"),
        12: ("tls_session", "AttributeContext.TLSSession"),
    },
    "AttributeContext.ContextExtensionsEntry": {1: ("key", "string"), 2: ("value", "string")},
    "AttributeContext.Peer": {
        1: ("address", "Address"),
        2: ("service", "string"),
        3: ("labels", "repeated AttributeContext.Peer.LabelsEntry"),
        4: ("principal", "string"),
        5: ("certificate", "string"),
    },
    "AttributeContext.Peer.LabelsEntry": {1: ("key", "string"), 2: ("value", "string")},
    "AttributeContext.Request": {
        1: ("time", "google.protobuf.Timestamp"),
        2: ("http", "AttributeContext.HttpRequest"),
    },
    "AttributeContext.HttpRequest": {
        1: ("id", "string"),
        2: ("method", "string"),
        3: ("headers", "repeated AttributeContext.HttpRequest.HeadersEntry"),
        4: ("path", "string"),
        5: ("host", "string"),
        6: ("scheme", "string"),
        7: ("query", "string"),
        8: ("fragment", "string"),
        9: ("size", "int64"),
        10: ("protocol", "string"),
        11: ("body", "string"),
        12: ("raw_body", "bytes"),
        13: ("header_map", "HeaderMap"),
    },
    "AttributeContext.HttpRequest.HeadersEntry": {1: ("key", "string"), 2: ("value", "string")},
    "AttributeContext.TLSSession": {1: ("sni", "string")},
    "Address": {1: ("socket_address", "SocketAddress"), 2: ("pipe", "Pipe")},
    "SocketAddress": {2: ("address", "string"), 3: ("port_value", "uint32")},
    "Pipe": {1: ("path", "string")},
    "HeaderMap": {1: ("headers", "repeated HeaderValue")},
    "HeaderValue": {1: ("key", "string"), 2: ("value", "string"), 3: ("raw_value", "bytes")},
    "CheckResponse": {
        1: ("status", "Status"),
        2: ("denied_response", "DeniedHttpResponse"),
        3: ("ok_response", "OkHttpResponse"),
        4: ("dynamic_metadata", "google.protobuf.Struct"),
    },
    "Status": {1: ("code", "int32"), 2: ("message", "string")},
    "DeniedHttpResponse": {
        1: ("status", "HttpStatus"),
        2: ("headers", "repeated HeaderValueOption"),
        3: ("body", "string"),
    },
    "OkHttpResponse": {
        2: ("headers", "repeated HeaderValueOption"),
        5: ("headers_to_remove", "repeated string"),
        6: ("response_headers_to_add", "repeated HeaderValueOption"),
    },
    "HttpStatus": {1: ("code", "int32")},
    "HeaderValueOption": {
        1: ("header", "HeaderValue"),
        3: ("append_action", "HeaderValueOption.HeaderAppendAction"),
        4: ("keep_empty_value", "bool"),
    },
}


def test_the_declared_fields_are_exactly_the_ones_of_envoys_api() -> None:
    found: dict[str, dict[int, tuple[str, str]]] = {}
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        found |= declared(message)
    assert found == FIELDS


def test_the_method_has_the_path_that_envoy_calls() -> None:
    (service,) = pb.DESCRIPTOR.services_by_name.values()
    methods = [
        (method.name, method.input_type.name, method.output_type.name) for method in service.methods
    ]
    assert (service.full_name, methods) == (
        "envoy.service.auth.v3.Authorization",
        [("Check", "CheckRequest", "CheckResponse")],
    )


def test_the_appending_actions_have_envoys_numbers() -> None:
    assert dict(pb.HeaderValueOption.HeaderAppendAction.items()) == {
        "APPEND_IF_EXISTS_OR_ADD": 0,
        "ADD_IF_ABSENT": 1,
        "OVERWRITE_IF_EXISTS_OR_ADD": 2,
        "OVERWRITE_IF_EXISTS": 3,
    }


def test_a_request_made_by_hand_is_read_as_it_is_meant() -> None:
    socket_address = field(2, b"127.0.0.1") + varint(3, b"\xbb\x03")  # 443
    peer = field(1, field(1, socket_address)) + field(4, b"spiffe://a.example/b") + field(5, b"PEM")
    line = field(1, field(1, b"x") + field(3, b"\xff"))
    http = field(2, b"POST") + field(4, b"/p?q") + varint(9, b"\x02") + field(12, b"\xfe\x00")
    http += field(13, line)
    request = field(1, b"\x08\x01") + field(2, http)
    extensions = field(10, field(1, b"provider") + field(2, b"openai"))
    unknown = field(11, b"\x0a\x00") + field(13, b"\x0a\x00")  # metadata we do not declare
    attributes = field(1, peer) + field(4, request) + extensions + unknown
    session = field(12, field(1, b"sni"))
    read = pb.CheckRequest.FromString(field(1, attributes + session)).attributes
    sent = read.request.http
    assert (
        read.source.address.socket_address.address,
        read.source.address.socket_address.port_value,
        read.source.principal,
        read.source.certificate,
        read.request.time.seconds,
        (sent.method, sent.path, sent.size, sent.raw_body),
        [(each.key, each.raw_value) for each in sent.header_map.headers],
        dict(read.context_extensions),
        read.tls_session.sni,
    ) == (
        "127.0.0.1",
        443,
        "spiffe://a.example/b",
        "PEM",
        1,
        ("POST", "/p?q", 2, b"\xfe\x00"),
        [("x", b"\xff")],
        {"provider": "openai"},
        "sni",
    )


def test_a_denial_is_written_as_envoy_reads_it() -> None:
    denial = pb.CheckResponse(
        status=pb.Status(code=7, message="no"),
        denied_response=pb.DeniedHttpResponse(
            status=pb.HttpStatus(code=403),
            headers=[
                pb.HeaderValueOption(
                    header=pb.HeaderValue(key="k", value="v"),
                    append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
                )
            ],
            body="b",
        ),
    )
    status = field(1, varint(1, b"\x07") + field(2, b"no"))
    header = field(2, field(1, field(1, b"k") + field(2, b"v")) + varint(3, b"\x02"))
    denied = field(2, field(1, varint(1, b"\x93\x03")) + header + field(3, b"b"))
    assert denial.SerializeToString(deterministic=True) == status + denied


def test_an_allow_is_written_as_envoy_reads_it() -> None:
    option = pb.HeaderValueOption(header=pb.HeaderValue(key="k"), keep_empty_value=True)
    allow = pb.CheckResponse(
        status=pb.Status(),
        ok_response=pb.OkHttpResponse(
            headers=[option], headers_to_remove=["r"], response_headers_to_add=[option]
        ),
        dynamic_metadata={"m": True},
    )
    header = field(1, field(1, b"k")) + varint(4, b"\x01")
    ok = field(3, field(2, header) + field(5, b"r") + field(6, header))
    metadata = field(4, field(1, field(1, b"m") + field(2, varint(4, b"\x01"))))
    assert allow.SerializeToString(deterministic=True) == field(1, b"") + ok + metadata


def test_what_makes_envoy_fail_open_or_override_cannot_be_sent() -> None:
    reserved = {}
    for name in ("CheckResponse", "OkHttpResponse", "HeaderValueOption"):
        message = DescriptorProto()
        pb.DESCRIPTOR.message_types_by_name[name].CopyToProto(message)
        reserved[name] = [(each.start, each.end) for each in message.reserved_range]
    assert reserved == {
        "CheckResponse": [(5, 6)],
        "OkHttpResponse": [(3, 4)],
        "HeaderValueOption": [(2, 3)],
    }


def test_the_committed_code_is_what_the_definitions_generate(tmp_path: Path) -> None:
    fresh = {path.name: path.read_bytes() for path in generate(tmp_path)}
    committed = repository_root() / "sidecar" / "_pb"
    held = {path.name: path.read_bytes() for path in committed.iterdir() if path.is_file()}
    assert held == fresh
