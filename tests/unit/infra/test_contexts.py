"""One context out of a user's kubeconfig: what is taken along, what is refused, and that no message says a secret."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trihull_infra import contexts
from trihull_infra.errors import SpecError

KEY = "prod.yaml: clouds.kubernetes"
TOKEN = "eyJ-a-token-that-nobody-may-see"


def config(*names: str, user: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Any]:
    """A kubeconfig with these contexts; `cluster` are more keys of every cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": f"{name}-cluster", "cluster": {"server": f"https://{name}:6443", **cluster}} for name in names
        ],
        "users": [{"name": f"{name}-user", "user": {"token": TOKEN} if user is None else user} for name in names],
        "contexts": [
            {"name": name, "context": {"cluster": f"{name}-cluster", "user": f"{name}-user", "namespace": "x"}}
            for name in names
        ],
        "current-context": names[-1] if names else "",
    }


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def extracted(path: Path, name: str = "mine") -> dict[str, Any]:
    found = json.loads(contexts.extract([path], name, KEY).kubeconfig)
    assert isinstance(found, dict)
    return found


def refused(path: Path, name: str = "mine") -> str:
    with pytest.raises(SpecError) as caught:
        contexts.extract([path], name, KEY)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None, "a cause is shown with --debug, and quotes the file"
    return str(caught.value)


def test_one_context_is_taken_and_nothing_of_the_others(tmp_path: Path) -> None:
    path = write(tmp_path / "config", config("theirs", "mine", "other"))
    found = contexts.extract([path], "mine", KEY)
    assert (found.cluster, found.server) == ("mine-cluster", "https://mine:6443")
    document = extracted(path)
    assert [item["name"] for kind in ("clusters", "users", "contexts") for item in document[kind]] == [
        "mine-cluster",
        "mine-user",
        "mine",
    ]
    assert document["current-context"] == "mine", "whatever the user works with"
    assert "theirs" not in found.kubeconfig
    assert "other" not in found.kubeconfig


def test_no_one_sees_the_kubeconfig_by_looking_at_it(tmp_path: Path) -> None:
    found = contexts.extract([write(tmp_path / "config", config("mine"))], "mine", KEY)
    assert TOKEN in found.kubeconfig
    assert TOKEN not in repr(found)


def test_certificates_and_keys_in_files_are_taken_along(tmp_path: Path) -> None:
    for name in ("ca.crt", "user.crt", "user.key"):
        write(tmp_path / "pki" / name, f"{name} of mine")
    user = {"client-certificate": "pki/user.crt", "client-key": str(tmp_path / "pki" / "user.key")}
    document = extracted(
        write(tmp_path / "config", config("mine", user=user, **{"certificate-authority": "pki/ca.crt"}))
    )
    cluster, known = document["clusters"][0]["cluster"], document["users"][0]["user"]
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"ca.crt of mine"
    assert base64.b64decode(known["client-certificate-data"]) == b"user.crt of mine"
    assert base64.b64decode(known["client-key-data"]) == b"user.key of mine"
    assert set(known) == {"client-certificate-data", "client-key-data"}


def test_data_goes_before_a_file(tmp_path: Path) -> None:
    given: dict[str, Any] = {"certificate-authority": "not/there", "certificate-authority-data": "TUlJQg=="}
    cluster = extracted(write(tmp_path / "config", config("mine", **given)))["clusters"][0]["cluster"]
    assert cluster == {"server": "https://mine:6443", "certificate-authority-data": "TUlJQg=="}


def test_an_exec_plugin_is_kept_and_a_path_means_what_it_meant_beside_its_file(tmp_path: Path) -> None:
    def command(given: str) -> str:
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": given, "args": ["token"], "env": None}
        kept = extracted(write(tmp_path / "config", config("mine", user={"exec": plugin})))["users"][0]["user"]["exec"]
        assert kept == {**plugin, "command": kept["command"]}
        return str(kept["command"])

    assert command("login") == "login"
    assert command("/opt/login") == "/opt/login"
    assert command("./bin/login") == str(tmp_path / "bin" / "login")


def test_a_token_in_a_file_stays_there(tmp_path: Path) -> None:
    write(tmp_path / "token", TOKEN)
    document = extracted(write(tmp_path / "config", config("mine", user={"tokenFile": "token"})))
    assert document["users"][0]["user"] == {"tokenFile": str(tmp_path / "token")}


def test_of_several_files_the_first_that_says_something_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "config", config("mine", proxy_of="first"))
    second = write(tmp_path / "b" / "config", config("mine", "yours"))
    files = contexts.files(None, tmp_path, {"KUBECONFIG": f"{first}::{tmp_path / 'none'}:{second}"})
    assert files == (first, tmp_path / "none", second)
    assert contexts.extract(files, "mine", KEY).server == "https://mine:6443"
    assert contexts.extract(files, "yours", KEY).server == "https://yours:6443"
    assert len(json.loads(contexts.extract(files, "mine", KEY).kubeconfig)["clusters"]) == 1


def test_where_the_kubeconfig_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert contexts.files(None, tmp_path, {}) == (tmp_path / ".kube" / "config",)
    assert contexts.files("~/mine", tmp_path / "environments", {"KUBECONFIG": "/else"}) == (tmp_path / "mine",)
    (named,) = contexts.files("../mine", tmp_path / "environments", {"KUBECONFIG": "/else"})
    assert named == tmp_path / "mine", "relative to the environment's file"


def test_a_context_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    path = write(tmp_path / "config", config("kind", "k3s"))
    assert refused(path) == f"{KEY}.context: {path} has no context 'mine'; contexts there: k3s, kind"
    assert refused(write(tmp_path / "empty", config())).endswith("contexts there: none")


def test_a_file_that_is_not_there_is_told_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "none"
    assert refused(path) == f"{KEY}.kubeconfig: there is no file {path}; name the one with context 'mine'"
    assert "there is no file" in refused(tmp_path), "a folder is no file"


@pytest.mark.parametrize("kind", ["clusters", "users", "contexts"])
def test_two_of_one_name_are_refused(tmp_path: Path, kind: str) -> None:
    document = config("mine", "mine")
    for other in {"clusters", "users", "contexts"} - {kind}:
        document[other] = document[other][:1]
    assert f": {kind}: 'mine" in refused(write(tmp_path / "config", document))


@pytest.mark.parametrize(
    "text",
    [
        f"users:\n- user: {{token: {TOKEN}\n",
        f"token: {TOKEN}: {TOKEN}\n",
        f"{TOKEN}",
        f"- {TOKEN}",
        f"contexts: {TOKEN}",
        f"contexts: [{TOKEN}]",
        f"contexts: [{{name: mine, context: {TOKEN}}}]",
        f"users: [{{name: [{TOKEN}], user: {{}}}}]",
        f"users: !!python/object:os.system {TOKEN}",
        f"a: &a [*a]\n? [{TOKEN}]\n: b",
        "",
        "\x00",
    ],
)
def test_what_is_no_kubeconfig_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    assert str(tmp_path / "config") in refused(write(tmp_path / "config", text))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"\xff\xfe\x00")
    assert refused(tmp_path / "config") == f"{tmp_path / 'config'}: cannot be read: it is no text in UTF-8"


@pytest.mark.parametrize(
    ("user", "cluster", "problem"),
    [
        ({"client-certificate": "none.crt"}, {}, "users.mine-user.client-certificate: "),
        ({"client-key": 5}, {}, "users.mine-user.client-key: expected a text"),
        ({"exec": {"args": [TOKEN]}}, {}, "users.mine-user.exec.command: expected a text"),
        ({}, {"certificate-authority": "none.crt"}, "clusters.mine-cluster.certificate-authority: "),
        ({}, {"insecure-skip-tls-verify": True}, "clusters.mine-cluster.insecure-skip-tls-verify: expected certif"),
        ({}, {"server": "http://10.0.0.1"}, "clusters.mine-cluster.server: expected an address that begins with https"),
        ({}, {"server": None}, "clusters.mine-cluster.server: expected a text"),
    ],
)
def test_what_would_not_work_is_refused_with_its_key(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], problem: str
) -> None:
    message = refused(write(tmp_path / "config", config("mine", user=user, **cluster)))
    assert message.startswith(f"{tmp_path / 'config'}: {problem}")


@pytest.mark.parametrize("missing", ["clusters", "users"])
def test_a_context_of_nothing_is_refused(tmp_path: Path, missing: str) -> None:
    path = write(tmp_path / "config", {**config("mine"), missing: []})
    kind = missing.removesuffix("s")
    assert refused(path) == f"{path}: contexts.mine.{kind}: {path} has no {kind} 'mine-{kind}'"


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "user", "cluster", "context", "server", "exec", "tokenFile", "client-key"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("clusters", "users", "contexts"), JSON)), JSON)
def test_whatever_stands_in_a_file_the_answer_is_a_context_or_a_clear_error(
    tmp_path: Path, document: dict[str, Any], user: Any
) -> None:
    for value in (
        document,
        {**config("mine"), **document},
        config("mine", user=user if isinstance(user, dict) else None),
    ):
        path = write(tmp_path / "config", json.dumps(value))
        try:
            assert contexts.extract([path], "mine", KEY).server.startswith("https://")
        except SpecError as error:
            assert TOKEN not in str(error)  # noqa: PT017 - a context is as right
