"""Graph's answers become errors that say who must act next."""

import json

import pytest

from worker.errors import NeedsHuman, Terminal, TryAgain
from worker.graph.errors import (
    BadRequest,
    ConsentMissing,
    CredentialsRejected,
    GraphError,
    GraphResponse,
    NotFound,
    ResyncRequired,
    ServiceFault,
    Throttled,
    error_from_answer,
    token_refused,
)


def answered(status: int, code: str, inner: dict[str, object] | None = None) -> GraphError:
    body = {
        "error": {
            "code": code,
            "message": "Resource 'ada@x.example' is not there.",
            "innerError": inner or {},
        }
    }
    return error_from_answer(GraphResponse(status, {}, json.dumps(body).encode()), "users", "User.Read.All")


WAITS, READS_AGAIN, READS_ALL = "waits as long as Graph asks", "Leaver reads it again", "reads everything"
LASTS, MAPPING, CONSENT = "if this lasts", "attribute mapping", "give admin consent"


@pytest.mark.parametrize(
    ("status", "code", "expected", "who", "advice"),
    [
        (302, "", BadRequest, Terminal, "Check the connection's Graph URL"),
        (400, "Request_BadRequest", BadRequest, Terminal, MAPPING),
        (400, "Request_UnsupportedQuery", BadRequest, Terminal, MAPPING),
        (400, "BadRequest", BadRequest, Terminal, MAPPING),
        (400, "TooManyRequests", Throttled, TryAgain, WAITS),
        (400, "SyncStateNotFound", ResyncRequired, Terminal, READS_ALL),
        (400, "Directory_ExpiredPageToken", ResyncRequired, Terminal, READS_ALL),
        (401, "InvalidAuthenticationToken", CredentialsRejected, NeedsHuman, "test the connection"),
        (401, "Authentication_Unauthorized", CredentialsRejected, NeedsHuman, "test the connection"),
        (401, "Authentication_MSGraphPermissionMissing", ConsentMissing, NeedsHuman, CONSENT),
        (403, "Authorization_RequestDenied", ConsentMissing, NeedsHuman, CONSENT),
        (403, "accessDenied", ConsentMissing, NeedsHuman, CONSENT),
        (403, "Authentication_MSGraphPermissionMissing", ConsentMissing, NeedsHuman, CONSENT),
        (404, "Request_ResourceNotFound", NotFound, Terminal, "within minutes"),
        (404, "ITEMNOTFOUND", NotFound, Terminal, "within minutes"),
        (404, "badToken", ResyncRequired, Terminal, READS_ALL),
        (404, "", BadRequest, Terminal, "Check the connection's Graph URL"),
        (405, "Request_BadRequest", BadRequest, Terminal, "report it"),
        (408, "", ServiceFault, TryAgain, LASTS),
        (409, "Conflict", ServiceFault, TryAgain, READS_AGAIN),
        (409, "nameAlreadyExists", ServiceFault, TryAgain, READS_AGAIN),
        (410, "resyncRequired", ResyncRequired, Terminal, READS_ALL),
        (410, "syncStateNotFound", ResyncRequired, Terminal, READS_ALL),
        (410, "", ResyncRequired, Terminal, READS_ALL),
        (412, "resourceModified", ServiceFault, TryAgain, READS_AGAIN),
        (424, "FailedDependency", BadRequest, Terminal, "report it"),
        (429, "TooManyRequests", Throttled, TryAgain, WAITS),
        (429, "activityLimitReached", Throttled, TryAgain, WAITS),
        (429, "", Throttled, TryAgain, WAITS),
        (500, "generalException", ServiceFault, TryAgain, LASTS),
        (501, "NotImplemented", BadRequest, Terminal, "Take that property out"),
        (502, "UnknownError", ServiceFault, TryAgain, LASTS),
        (503, "serviceNotAvailable", ServiceFault, TryAgain, LASTS),
        (504, "", ServiceFault, TryAgain, LASTS),
        (509, "", ServiceFault, TryAgain, LASTS),
    ],
)
def test_status_and_code_decide_the_error_who_acts_and_what_to_do(
    status: int, code: str, expected: type[GraphError], who: type[Exception], advice: str
) -> None:
    """Issue 3: every Graph error code of the reference is try-again, terminal or needs-a-human, and says what to do."""
    error = answered(status, code)
    assert type(error) is expected
    assert isinstance(error, who)
    assert advice in f"{error} {getattr(error, 'remedy', '')}"
    assert f"{status} {code}".strip() in str(error)


def test_code_of_an_inner_error_refines_the_outer() -> None:
    """Graph, "Error responses": `error.code` "may be refined inside innerError: walk it"."""
    error = answered(400, "BadRequest", {"code": "x", "innererror": {"code": "TooManyRequests"}})
    assert type(error) is Throttled


@pytest.mark.parametrize(
    "body",
    [b"<html>404 Not Found</html>", b"", b"[]", b'{"error": "nope"}', b'{"error": {"code": "BadGateway"}}'],
)
def test_a_strangers_404_is_not_an_absence(body: bytes) -> None:
    """Invariant I1: only Graph's own "does not exist" counts, a gateway's 404 page does not."""
    assert type(error_from_answer(GraphResponse(404, {}, body), "a user", "User.Read.All")) is BadRequest


@pytest.mark.parametrize(
    ("value", "expected"), [("2.128", 2.128), ("7", 7.0), ("nonsense", None), (None, None), ("inf", None)]
)
def test_retry_after_is_kept_whole_or_fractional(value: str | None, expected: float | None) -> None:
    """Graph, throttling guidance: the sample's `Retry-After` is `2.128`."""
    headers = {"retry-after": value} if value is not None else {}
    error = error_from_answer(GraphResponse(429, headers, b""), "users", "User.Read.All")
    assert isinstance(error, Throttled)
    assert error.retry_after_s == expected


def test_errors_carry_the_request_id_and_no_names() -> None:
    """Invariant I9: no personal data in errors; the request-id is what Microsoft's support asks for."""
    error = answered(400, "Request_BadRequest", {"request-id": "1-2-3"})
    assert error.request_id == "1-2-3"
    assert "1-2-3" in str(error)
    assert "ada@x.example" not in str(error)


def test_the_request_id_header_serves_where_the_body_has_none() -> None:
    error = error_from_answer(GraphResponse(503, {"request-id": "4-5-6"}, b""), "users", "User.Read.All")
    assert error.request_id == "4-5-6"


def test_missing_consent_names_the_permission() -> None:
    """Issue 3: "lost consent is a named state with the remedy and the exact missing permission"."""
    error = answered(403, "Authorization_RequestDenied")
    assert isinstance(error, ConsentMissing)
    assert error.permission == "User.Read.All"
    assert "User.Read.All" in error.remedy


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (7000215, "client secret"),
        (7000222, "expired"),
        (700016, "client id"),
        (90002, "tenant"),
        (700027, "certificate"),
        (7000229, "admin consent link"),
        (500011, "Graph URL"),
        (500014, "Microsoft Graph is disabled"),
        (5000225, "inactivity"),
        (1000502, "certificate"),
        (530035, "Security defaults"),
        (900382, "cloud"),
    ],
)
def test_a_refused_credential_names_code_and_remedy(code: int, remedy: str) -> None:
    body = {
        "error": "invalid_client",
        "error_description": f"AADSTS{code}: Something.",
        "error_codes": [code],
    }
    error = token_refused(401, json.dumps(body).encode())
    assert isinstance(error, CredentialsRejected)
    assert error.code == code
    assert f"AADSTS{code}" in str(error)
    assert remedy in error.remedy


def test_a_refusal_without_codes_is_read_from_its_description() -> None:
    error = token_refused(
        400, b'{"error": "invalid_client", "error_description": "AADSTS7000222: It expired."}'
    )
    assert isinstance(error, CredentialsRejected)
    assert error.code == 7000222


def test_a_refusal_that_says_nothing_still_says_what_to_do() -> None:
    error = token_refused(400, b"<html>")
    assert isinstance(error, CredentialsRejected)
    assert "status 400" in str(error)
    assert error.remedy


def test_a_temporary_refusal_is_tried_again() -> None:
    """RFC 6749 §4.1.2.1: `temporarily_unavailable` is no verdict on the credential."""
    assert isinstance(token_refused(400, b'{"error": "temporarily_unavailable"}'), ServiceFault)


@pytest.mark.parametrize("word", ["invalid_request", "invalid_grant", "server_error"])
@pytest.mark.parametrize("code", [90033, 90025, 90006])
def test_a_transient_code_is_tried_again_with_any_word(code: int, word: str) -> None:
    """Microsoft Entra error codes: transient, although the status is 400."""
    error = token_refused(400, json.dumps({"error": word, "error_codes": [code]}).encode())
    assert isinstance(error, ServiceFault)
    assert str(code) in str(error)
