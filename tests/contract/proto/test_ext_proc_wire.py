"""External processing on the wire: numbers and types written by hand, as in ``test_wire``."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import DescriptorProto

from sidecar._pb import ext_authz_pb2 as auth
from sidecar._pb import ext_proc_pb2 as pb
from tests.contract.proto.wire import declared, field, varint

SHARED = "envoy.service.auth.v3."
PACKAGE = "envoy.service.ext_proc.v3."
ENTRY = "Metadata.FilterMetadataEntry"

# What each message has in Envoy's v3 API, of what we use: number → (name, type).
FIELDS: dict[str, dict[int, tuple[str, str]]] = {
    "ProcessingRequest": {
        2: ("request_headers", "HttpHeaders"),
        3: ("response_headers", "HttpHeaders"),
        4: ("request_body", "HttpBody"),
        5: ("response_body", "HttpBody"),
        6: ("request_trailers", "HttpTrailers"),
        7: ("response_trailers", "HttpTrailers"),
        8: ("metadata_context", "Metadata"),
        10: ("observability_mode", "bool"),
        11: ("protocol_config", "ProtocolConfiguration"),
    },
    "ProtocolConfiguration": {
        1: ("request_body_mode", "BodySendMode"),
        2: ("response_body_mode", "BodySendMode"),
    },
    "Metadata": {1: ("filter_metadata", f"repeated {ENTRY}")},
    ENTRY: {1: ("key", "string"), 2: ("value", "google.protobuf.Struct")},
    "HttpHeaders": {1: ("headers", f"{SHARED}HeaderMap"), 3: ("end_of_stream", "bool")},
    "HttpBody": {1: ("body", "bytes"), 2: ("end_of_stream", "bool")},
    "HttpTrailers": {1: ("trailers", f"{SHARED}HeaderMap")},
    "ProcessingResponse": {
        1: ("request_headers", "HeadersResponse"),
        2: ("response_headers", "HeadersResponse"),
        3: ("request_body", "BodyResponse"),
        4: ("response_body", "BodyResponse"),
        5: ("request_trailers", "TrailersResponse"),
        6: ("response_trailers", "TrailersResponse"),
        7: ("immediate_response", "ImmediateResponse"),
    },
    "HeadersResponse": {},
    "TrailersResponse": {},
    "BodyResponse": {1: ("response", "CommonResponse")},
    "CommonResponse": {3: ("body_mutation", "BodyMutation")},
    "BodyMutation": {3: ("streamed_response", "StreamedBodyResponse")},
    "StreamedBodyResponse": {1: ("body", "bytes"), 2: ("end_of_stream", "bool")},
    "ImmediateResponse": {
        1: ("status", f"{SHARED}HttpStatus"),
        2: ("headers", "HeaderMutation"),
        3: ("body", "bytes"),
        5: ("details", "string"),
    },
    "HeaderMutation": {1: ("set_headers", f"repeated {SHARED}HeaderValueOption")},
}


def body(chunk: bytes, *, last: bool) -> pb.BodyResponse:
    streamed = pb.StreamedBodyResponse(body=chunk, end_of_stream=last)
    return pb.BodyResponse(
        response=pb.CommonResponse(body_mutation=pb.BodyMutation(streamed_response=streamed))
    )


def test_the_declared_fields_are_exactly_the_ones_of_envoys_api() -> None:
    found: dict[str, dict[int, tuple[str, str]]] = {}
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        found |= declared(message, PACKAGE)
    assert found == FIELDS


def test_the_method_has_the_path_that_envoy_calls_and_streams_both_ways() -> None:
    (service,) = pb.DESCRIPTOR.services_by_name.values()
    (method,) = service.methods
    assert (
        (service.full_name, method.name),
        (method.input_type.name, method.client_streaming),
        (method.output_type.name, method.server_streaming),
    ) == (
        ("envoy.service.ext_proc.v3.ExternalProcessor", "Process"),
        ("ProcessingRequest", True),
        ("ProcessingResponse", True),
    )


def test_the_modes_of_a_body_have_envoys_numbers() -> None:
    assert dict(pb.BodySendMode.items()) == {
        "NONE": 0,
        "STREAMED": 1,
        "BUFFERED": 2,
        "BUFFERED_PARTIAL": 3,
        "FULL_DUPLEX_STREAMED": 4,
    }


def test_what_envoy_says_made_by_hand_is_read_as_it_is_meant() -> None:
    line = field(1, field(1, b"content-type") + field(3, b"text/\xff"))
    headers = field(2, field(1, line) + varint(3, b"\x01"))
    struct = field(1, field(1, b"pass") + field(2, field(3, b"sealed")))
    metadata = field(8, field(1, field(1, b"envoy.filters.http.ext_authz") + field(2, struct)))
    config = field(11, varint(1, b"\x04") + varint(2, b"\x02"))
    read = pb.ProcessingRequest.FromString(headers + metadata + varint(10, b"\x01") + config)
    (sent,) = read.request_headers.headers.headers
    assert (
        read.WhichOneof("request"),
        (sent.key, sent.raw_value),
        read.request_headers.end_of_stream,
        read.metadata_context.filter_metadata["envoy.filters.http.ext_authz"]["pass"],
        read.observability_mode,
        (read.protocol_config.request_body_mode, read.protocol_config.response_body_mode),
    ) == (
        "request_headers",
        ("content-type", b"text/\xff"),
        True,
        "sealed",
        True,
        (pb.FULL_DUPLEX_STREAMED, pb.BUFFERED),
    )
    for number, name in ((4, "request_body"), (5, "response_body")):
        chunk = pb.ProcessingRequest.FromString(field(number, field(1, b"\xfe") + b"\x10\x01"))
        held = getattr(chunk, name)
        assert (chunk.WhichOneof("request"), held.body, held.end_of_stream) == (name, b"\xfe", True)


def test_what_the_gate_says_is_written_as_envoy_reads_it() -> None:
    streamed = field(1, field(3, field(3, field(1, b"\xfe") + varint(2, b"\x01"))))
    chunk, headers, trailers = body(b"\xfe", last=True), pb.HeadersResponse(), pb.TrailersResponse()
    answers = [
        (pb.ProcessingResponse(request_headers=headers), field(1, b"")),
        (pb.ProcessingResponse(response_headers=headers), field(2, b"")),
        (pb.ProcessingResponse(request_body=chunk), field(3, streamed)),
        (pb.ProcessingResponse(response_body=chunk), field(4, streamed)),
        (pb.ProcessingResponse(request_trailers=trailers), field(5, b"")),
        (pb.ProcessingResponse(response_trailers=trailers), field(6, b"")),
    ]
    written = [answer.SerializeToString(deterministic=True) for answer, _ in answers]
    assert written == [wire for _, wire in answers]


def test_a_refusal_is_written_as_envoy_reads_it() -> None:
    option = auth.HeaderValueOption(
        header=auth.HeaderValue(key="k", raw_value=b"v"),
        append_action=auth.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    refusal = pb.ProcessingResponse(
        immediate_response=pb.ImmediateResponse(
            status=auth.HttpStatus(code=403),
            headers=pb.HeaderMutation(set_headers=[option]),
            body=b"b",
            details="d",
        )
    )
    header = field(1, field(1, field(1, b"k") + field(3, b"v")) + varint(3, b"\x02"))
    said = field(1, varint(1, b"\x93\x03")) + field(2, header) + field(3, b"b") + field(5, b"d")
    assert refusal.SerializeToString(deterministic=True) == field(7, said)


def test_what_would_change_a_request_cannot_be_sent() -> None:
    reserved = {}
    names = ("ProcessingResponse", "HeadersResponse", "TrailersResponse", "CommonResponse")
    for name in (*names, "BodyMutation"):
        message = DescriptorProto()
        pb.DESCRIPTOR.message_types_by_name[name].CopyToProto(message)
        reserved[name] = [
            number for each in message.reserved_range for number in range(each.start, each.end)
        ]
    assert reserved == {
        "ProcessingResponse": [8, 9],
        "HeadersResponse": [1],
        "TrailersResponse": [1],
        "CommonResponse": [1, 2, 4, 5],
        "BodyMutation": [1, 2],
    }
