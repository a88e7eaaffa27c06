"""Which answers never reach a client: those of releases that are not accepted."""

from trihull_runtime.router.envoy.values import Json, extension, header, typed

RELEASE_HEADER = "x-trihull-release"
CUSTOM_RESPONSE = "envoy.filters.http.custom_response"


def stale_release(accepted: tuple[str, ...]) -> Json:
    """Return the header matcher of an answer by a release that is not accepted (one that names none is not matched)."""
    return {"name": RELEASE_HEADER, "string_match": _one_of(accepted), "invert_match": True}


def _one_of(accepted: tuple[str, ...], **engine: Json) -> Json:
    """A matcher of the whole text; one release is compared without a regular expression, which costs several times."""
    if len(accepted) == 1:
        return {"exact": accepted[0]}
    return {"safe_regex": {**engine, "regex": "|".join(accepted)}}


def refuse_stale(accepted: tuple[str, ...]) -> Json:
    """When every site was tried, a good answer by no accepted release must still not reach the client.

    Only answers of class 2xx are replaced: an error carries its own meaning, whoever gave it.
    """
    status = extension("status", "envoy.type.matcher.v3.HttpResponseStatusCodeClassMatchInput")
    named = extension("release", "envoy.type.matcher.v3.HttpResponseHeaderMatchInput", header_name=RELEASE_HEADER)
    good = {"single_predicate": {"input": status, "value_match": {"exact": "2xx"}}}
    known = {"single_predicate": {"input": named, "value_match": _one_of(accepted, google_re2={})}}
    text = "no site answered with an accepted release of this model; try again later"
    policy = extension(
        "stale",
        "envoy.extensions.http.custom_response.local_response_policy.v3.LocalResponsePolicy",
        status_code=503,
        body={"inline_string": text},
        response_headers_to_add=[header("x-trihull-refused", "release")],
    )
    matcher = {
        # in this order, since nearly every answer ends at the first
        "predicate": {"and_matcher": {"predicate": [{"not_matcher": known}, good]}},
        "on_match": {"action": policy},
    }
    return typed(
        "envoy.extensions.filters.http.custom_response.v3.CustomResponse",
        custom_response_matcher={"matcher_list": {"matchers": [matcher]}},
    )
