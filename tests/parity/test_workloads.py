"""What runs on a site: the same on every cloud, confined, reachable only as it should be."""

import re
from typing import Any

import pytest

from tests.parity import mocks
from tests.parity.conftest import IMAGE, RELEASE, ROUTER, Run
from trihull_infra.cloud import Cloud
from trihull_infra.environment import Environment

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
NAMES = {"serving": "trihull-serving", "routing": "trihull-router"}
SERVICE = "kubernetes:core/v1:Service"


@pytest.fixture(params=["serving", "routing"])
def project(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pod(run: Run, project: str, name: str, cloud: Cloud) -> dict[str, Any]:
    template = mocks.opened(run(project, f"{name}-{cloud}").the(DEPLOYMENT, NAMES[project]).inputs)["spec"]["template"]
    assert isinstance(template, dict)
    return template


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def env(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_pods_meet_the_restricted_standard(pod: dict[str, Any], container: dict[str, Any]) -> None:
    for context in (pod["spec"]["securityContext"], container["securityContext"]):
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    allowed = {"configMap", "secret", "emptyDir"}
    assert all(len(allowed & set(volume)) == 1 for volume in pod["spec"]["volumes"])
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"])
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_namespace_enforces_the_restricted_standard(run: Run, cloud: Cloud) -> None:
    namespace = run("serving", f"local-{cloud}").the("kubernetes:core/v1:Namespace").inputs["metadata"]
    assert namespace["name"] == "trihull"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_is_written_to_is_an_empty_dir(pod: dict[str, Any], container: dict[str, Any]) -> None:
    empty = {volume["name"] for volume in pod["spec"]["volumes"] if "emptyDir" in volume}
    writable = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == empty
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_images_are_named_by_digest_in_the_sites_registry(
    run: Run, project: str, name: str, cloud: Cloud, container: dict[str, Any]
) -> None:
    assert container["image"].endswith(f"@{IMAGE if project == 'serving' else ROUTER}")
    for one in run(project, f"{name}-{cloud}").resources:
        for each in mocks.opened(one.inputs).get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            assert re.search(r"[^:]+@sha256:[0-9a-f]{64}$", each["image"]), f"{one.name} runs {each['image']}"


def test_probes_and_services_use_ports_by_name(
    run: Run, project: str, name: str, cloud: Cloud, container: dict[str, Any]
) -> None:
    ports = {port["name"] for port in container["ports"]}
    assert ports == ({"infer", "health"} if project == "serving" else {"ingress", "metrics", "admin"})
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[kind]["httpGet"]["port"] == ("health" if project == "serving" else "ingress")
    service = run(project, f"{name}-{cloud}").the(SERVICE).inputs["spec"]
    assert service["type"] == "LoadBalancer"
    ((port,),) = [service["ports"]]
    assert port["targetPort"] == ("infer" if project == "serving" else "ingress")


def test_pods_end_later_than_they_drain(run: Run, name: str, cloud: Cloud) -> None:
    pod = mocks.opened(run("serving", f"{name}-{cloud}").the(DEPLOYMENT, "trihull-serving").inputs)["spec"]["template"][
        "spec"
    ]
    assert pod["terminationGracePeriodSeconds"] > int(env(pod["containers"][0])["TRIHULL_DRAIN_S"])


def test_router_is_configured_by_the_environment(run: Run, name: str, cloud: Cloud, spec: Environment) -> None:
    pod = mocks.opened(run("routing", f"{name}-{cloud}").the(DEPLOYMENT).inputs)["spec"]["template"]["spec"]
    known = env(pod["containers"][0])
    assert known["TRIHULL_SITE"] == str(cloud)
    assert known["TRIHULL_POLICY"] == str(spec.routing.policy)
    assert known["TRIHULL_TIMINGS"] == str(spec.routing.timings)
    mounts = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert {known["TRIHULL_TLS"], known["TRIHULL_STATE"], known["TRIHULL_FLEET"].rpartition("/")[0]} <= mounts


def test_secrets_that_the_environment_names_reach_the_router(
    run: Run, name: str, cloud: Cloud, spec: Environment
) -> None:
    routing = run("routing", f"{name}-{cloud}")
    pod = mocks.opened(routing.the(DEPLOYMENT).inputs)["spec"]["template"]["spec"]
    known, named = env(pod["containers"][0]), spec.routing
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert {each for each in (named.clients_secret, named.tls_secret) if each} == secrets - {"trihull-router"}
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    for variable, secret in (("TRIHULL_CLIENTS", named.clients_secret), ("TRIHULL_INGRESS_TLS", named.tls_secret)):
        assert (variable in known) == (secret is not None)
        if secret is not None:
            folder = known[variable].removesuffix("/clients.json")
            assert mounts[folder]["readOnly"] is True
    assert routing.exports["endpoint"]["url"].startswith(f"{named.scheme}://")


def test_a_new_fleet_changes_no_pod_of_the_router(run: Run, cloud: Cloud) -> None:
    routing = run("routing", f"local-{cloud}")
    config = routing.the("kubernetes:core/v1:ConfigMap").inputs
    assert config["metadata"]["name"] == "trihull-router", "a name of its own for each fleet would start pods anew"
    assert not config.get("immutable")
    template = mocks.opened(routing.the(DEPLOYMENT).inputs)["spec"]["template"]
    assert "certificates" in str(template["metadata"]["annotations"])
    assert "fleet" not in str(template["metadata"]["annotations"])


def test_configuration_is_changed_in_place_never_replaced(run: Run, project: str, cloud: Cloud) -> None:
    cluster = run(project, f"local-{cloud}").the("pulumi:providers:kubernetes").inputs
    assert cluster["enableConfigMapMutable"] == "true"
    assert cluster["enableSecretMutable"] == "true"


def test_the_kubeconfig_stays_secret(run: Run, project: str, cloud: Cloud) -> None:
    cluster = run(project, f"local-{cloud}").the("pulumi:providers:kubernetes").inputs
    assert isinstance(cluster["kubeconfig"], mocks.Secret)


def test_serving_trusts_every_sites_authority(run: Run, cloud: Cloud) -> None:
    secret = mocks.opened(run("serving", f"local-{cloud}").the("kubernetes:core/v1:Secret").inputs)["stringData"]
    assert set(secret) == {"tls.crt", "tls.key", "ca.crt"}
    assert secret["ca.crt"].count("BEGIN CERTIFICATE") == len(Cloud)


def test_pods_are_made_anew_for_a_new_release_or_certificate(run: Run, cloud: Cloud) -> None:
    serving = mocks.opened(run("serving", f"local-{cloud}").the(DEPLOYMENT, "trihull-serving").inputs)
    annotations = serving["spec"]["template"]["metadata"]["annotations"]
    assert annotations["trihull.internal/release"] == RELEASE
    assert annotations["trihull.internal/certificates"]


def test_the_autoscaler_owns_the_number_of_replicas(run: Run, name: str, cloud: Cloud, spec: Environment) -> None:
    serving = run("serving", f"{name}-{cloud}")
    assert serving.the(DEPLOYMENT, "trihull-serving").ignore_changes == ("spec.replicas",)
    scaler = serving.the("kubernetes:autoscaling/v2:HorizontalPodAutoscaler").inputs["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (spec.serving.replicas_min, spec.serving.replicas_max)
    assert serving.the(DEPLOYMENT, "trihull-serving").inputs["spec"]["replicas"] == spec.serving.replicas_min


def test_routers_are_scaled_where_the_environment_gives_a_maximum(run: Run, cloud: Cloud) -> None:
    scaler = run("routing", f"longestname1-{cloud}").the("kubernetes:autoscaling/v2:HorizontalPodAutoscaler").inputs
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 6)
    assert run("routing", f"longestname1-{cloud}").the(DEPLOYMENT).ignore_changes == ("spec.replicas",)
    fixed = run("routing", f"local-{cloud}")
    assert not fixed.of_type("kubernetes:autoscaling/v2:HorizontalPodAutoscaler")
    assert fixed.the(DEPLOYMENT).ignore_changes == ()


def test_service_account_carries_what_the_cloud_asks_for(run: Run, cloud: Cloud) -> None:
    account = (
        run("serving", f"local-{cloud}").the("kubernetes:core/v1:ServiceAccount", "trihull-serving").inputs["metadata"]
    )
    wanted = {
        Cloud.GCP: ["iam.gke.io/gcp-service-account"],
        Cloud.AZURE: ["azure.workload.identity/client-id"],
    }.get(cloud, [])
    assert list(account["annotations"]) == wanted
    assert account["name"] == "trihull-serving"
    pod = mocks.opened(run("serving", f"local-{cloud}").the(DEPLOYMENT, "trihull-serving").inputs)["spec"]["template"][
        "metadata"
    ]
    assert ("azure.workload.identity/use" in pod["labels"]) == (cloud == Cloud.AZURE)


def test_pods_are_spread_and_drained_one_by_one(run: Run, project: str, cloud: Cloud, pod: dict[str, Any]) -> None:
    keys = [one["topologyKey"] for one in pod["spec"]["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    budget = run(project, f"local-{cloud}").the("kubernetes:policy/v1:PodDisruptionBudget").inputs["spec"]
    assert budget["maxUnavailable"] == 1
