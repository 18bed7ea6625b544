"""The Kubernetes manifests: valid against the published schemas where a package carries them, and right in what matters."""

from pathlib import Path

import pytest
import yaml

from app.settings import ROOT, variables
from tests.serving.deploy.published_schema import faults

DEPLOY = ROOT / "serving" / "deploy"
FILES = sorted(
    p for folder in ("base", "overlays") for p in (DEPLOY / folder).rglob("*.yaml") if p.name != "kustomization.yaml"
)
OBJECTS = [(path, o) for path in FILES for o in yaml.safe_load_all(path.read_text())]
CUSTOM = {"ScaledObject", "RayService", "InferenceService"}
"""Kinds of operators, whose schemas no package carries: checked by hand below, KServe's in test_tabular."""


def _named(kind: str, name: str | None = None) -> list[dict]:
    return [o for _, o in OBJECTS if o["kind"] == kind and name in (None, o["metadata"]["name"])]


def _pods() -> dict[str, dict]:
    """Every pod template, by what makes it."""
    found = {f"{o['kind']}/{o['metadata']['name']}": o["spec"]["template"] for o in _named("Deployment")}
    for o in _named("RayService"):
        cluster = o["spec"]["rayClusterConfig"]
        found["RayService/head"] = cluster["headGroupSpec"]["template"]
        found |= {f"RayService/{g['groupName']}": g["template"] for g in cluster["workerGroupSpecs"]}
    return found


PODS = _pods()
CONTAINERS = [(name, c) for name, pod in PODS.items() for c in pod["spec"]["containers"]]


def _id(value) -> str:
    return value if isinstance(value, str) else value.get("name", "") if isinstance(value, dict) else ""


@pytest.mark.parametrize(
    ("path", "manifest"),
    [(p, o) for p, o in OBJECTS if o["kind"] not in CUSTOM],
    ids=[f"{p.stem}-{o['kind']}-{o['metadata']['name']}" for p, o in OBJECTS if o["kind"] not in CUSTOM],
)
def test_a_manifest_is_valid_against_the_published_schema_without_unknown_fields(path, manifest):
    assert faults(manifest) == [], path


def test_the_schema_check_can_fail():
    broken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    assert "prots" in faults(broken)[0]


def test_every_file_is_listed_in_its_kustomization_and_every_listed_one_exists():
    for kustomization in DEPLOY.rglob("kustomization.yaml"):
        body, folder = yaml.safe_load(kustomization.read_text()), kustomization.parent
        listed = {(folder / r).resolve() for r in body["resources"]}
        assert all(path.exists() for path in listed), kustomization
        assert {p.resolve() for p in folder.glob("*.yaml")} - {kustomization.resolve()} <= listed
        for patch in body.get("patches", []):
            assert _named(patch["target"]["kind"], patch["target"]["name"]), patch
            assert yaml.safe_load(patch["patch"])


@pytest.mark.parametrize(("pod", "container"), CONTAINERS, ids=_id)
def test_containers_have_limits_no_root_no_writable_root_and_no_capabilities(pod, container):
    for part in ("requests", "limits"):
        assert {"cpu", "memory"} <= set(container["resources"][part]), (pod, part)
    context, of_pod = container["securityContext"], PODS[pod]["spec"]["securityContext"]
    assert of_pod["runAsNonRoot"]
    assert of_pod["runAsUser"] > 0
    assert of_pod["seccompProfile"]["type"] == "RuntimeDefault"
    assert context["readOnlyRootFilesystem"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"]["drop"] == ["ALL"]
    assert PODS[pod]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("pod", "container"), CONTAINERS, ids=_id)
def test_mounts_have_volumes_and_every_writable_place_a_size(pod, container):
    volumes = {v["name"]: v for v in PODS[pod]["spec"]["volumes"]}
    assert {m["name"] for m in container["volumeMounts"]} <= set(volumes)
    assert "/tmp" in {m["mountPath"] for m in container["volumeMounts"]}
    assert all("sizeLimit" in v["emptyDir"] for v in volumes.values() if "emptyDir" in v)


@pytest.mark.parametrize("name", ["api", "vllm"])
def test_what_answers_requests_has_three_probes_on_a_port_it_opens(name):
    (deployment,) = _named("Deployment", name)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    ports = {p["name"] for p in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports


def test_the_apis_probes_are_routes_that_exist_and_liveness_touches_nothing():
    from app.api.health import router

    paths = {route.path for route in router.routes}
    container = _named("Deployment", "api")[0]["spec"]["template"]["spec"]["containers"][0]
    assert {container[p]["httpGet"]["path"] for p in ("startupProbe", "readinessProbe", "livenessProbe")} <= paths
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_selectors_match_the_labels_of_exactly_one_kind_of_pod():
    for kind, at in (("Deployment", ("selector", "matchLabels")), ("PodDisruptionBudget", ("selector", "matchLabels"))):
        for o in _named(kind):
            wanted = o["spec"][at[0]][at[1]]
            assert _selected(wanted) == [f"Deployment/{o['metadata']['name']}"], o["metadata"]["name"]
    for service in _named("Service"):
        (pod,) = _selected(service["spec"]["selector"])
        opened = {p["name"] for c in PODS[pod]["spec"]["containers"] for p in c.get("ports", [])}
        assert {p["targetPort"] for p in service["spec"]["ports"]} <= opened


def _selected(wanted: dict) -> list[str]:
    return [
        n
        for n, pod in PODS.items()
        if n.startswith("Deployment") and wanted.items() <= pod["metadata"]["labels"].items()
    ]


def test_scalers_point_to_deployments_that_exist_and_the_queue_scaler_reads_vllms_queue():
    for scaler in _named("HorizontalPodAutoscaler") + _named("ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        assert _named(target["kind"], target["name"])
    (keda,) = _named("ScaledObject")
    assert "vllm:num_requests_waiting" in keda["spec"]["triggers"][0]["metadata"]["query"]


def test_the_network_is_closed_and_vllm_is_reached_by_the_api_alone():
    policies = {o["metadata"]["name"]: o["spec"] for o in _named("NetworkPolicy")}
    deny = policies["default-deny"]
    assert (deny["podSelector"], set(deny["policyTypes"])) == ({}, {"Ingress", "Egress"})
    assert not deny.get("ingress")
    assert not deny.get("egress")
    peers = [peer for rule in policies["vllm"]["ingress"] for peer in rule["from"]]
    pods = [p["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for p in peers if "podSelector" in p]
    assert pods == ["api"]


def test_settings_are_settings_and_secrets_are_no_literals():
    known = {name for name, _, _ in variables()}
    (config,) = _named("ConfigMap", "assay")
    names = set(config["data"])
    for _, container in CONTAINERS:
        names |= {e["name"] for e in container.get("env", []) if e["name"].startswith("ASSAY_")}
        assert not [e for e in container.get("env", []) if "KEY" in e["name"] and "value" in e]
    assert names <= known
    assert not [n for n in names if "KEY" in n or "DATABASE_URL" in n]


def test_vllm_and_its_sync_share_the_adapters_and_only_the_sync_writes_them():
    pod = PODS["Deployment/vllm"]["spec"]
    mounts = {c["name"]: {m["name"]: m for m in c["volumeMounts"]} for c in pod["containers"]}
    assert mounts["vllm"]["adapters"]["readOnly"]
    assert "readOnly" not in mounts["sync"]["adapters"]
    assert mounts["vllm"]["adapters"]["mountPath"] == mounts["sync"]["adapters"]["mountPath"]
    by_name = {c["name"]: c for c in pod["containers"]}
    environment = {e["name"]: e.get("value") for c in pod["containers"] for e in c["env"]}
    assert environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert environment["ASSAY_VLLM__ADAPTERS_DIR"] == mounts["sync"]["adapters"]["mountPath"]
    assert "--enable-lora" in by_name["vllm"]["args"]
    assert by_name["sync"]["args"][:6] == ["python", "-m", "app", "llm", "sync", "--watch"]


def test_the_ray_service_runs_one_application_over_as_many_gpus_as_it_splits_the_model():
    (service,) = _named("RayService")
    serve = yaml.safe_load(service["spec"]["serveConfigV2"])
    engine = serve["applications"][0]["args"]["llm_configs"][0]["engine_kwargs"]
    (workers,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    gpus = int(workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"])
    assert workers["replicas"] * gpus == engine["tensor_parallel_size"] * engine["pipeline_parallel_size"]


def test_no_image_is_left_to_the_newest_there_is():
    pinned = yaml.safe_load((DEPLOY / "base" / "kustomization.yaml").read_text())["images"]
    tags = {i["name"]: i["newTag"] for i in pinned}
    for _, container in CONTAINERS:
        image = container["image"]
        assert (tags[image] if image in tags else image.rpartition(":")[2]) not in ("", "latest", image)


def test_the_manifests_are_where_this_test_looks():
    assert {p.relative_to(DEPLOY).parts[0] for p in FILES} == {"base", "overlays"}
    assert Path(DEPLOY / "base" / "network.yaml") in FILES
