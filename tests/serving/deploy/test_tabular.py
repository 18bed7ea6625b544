"""KServe's manifest: as far as it can be checked without a cluster, by KServe's own classes and the published pod schema."""

import re

import pytest
import yaml

from app.settings import ROOT
from tests.serving.deploy.published_schema import faults

MANIFEST = yaml.safe_load((ROOT / "serving" / "deploy" / "overlays" / "kserve" / "tabular.yaml").read_text())
PREDICTOR = MANIFEST["spec"]["predictor"]
CONTAINER = PREDICTOR["containers"][0]
OF_A_POD = ("automountServiceAccountToken", "securityContext", "containers", "volumes")


def test_the_pods_part_is_valid_against_the_published_schema():
    spec = {name: PREDICTOR[name] for name in OF_A_POD}
    assert faults({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}) == []


def unknown_fields(given, kind: str) -> list[str]:
    """Keys that KServe's generated classes do not know, at any depth."""
    import kserve.models
    from kubernetes.client import models

    if (inner := re.fullmatch(r"list\[(.+)\]", kind)) is not None:
        return [told for one in given for told in unknown_fields(one, inner[1])]
    known = getattr(kserve.models, kind, None) or getattr(models, kind, None)
    if known is None or not isinstance(given, dict):
        return []
    fields = {json: known.openapi_types[name] for name, json in known.attribute_map.items()}
    told = [f"{kind}.{name}" for name in given if name not in fields]
    return told + [inner for n, v in given.items() if n in fields for inner in unknown_fields(v, fields[n])]


@pytest.mark.slow
def test_kserves_own_classes_know_every_field():
    assert unknown_fields(MANIFEST, "V1beta1InferenceService") == []
    broken = {"spec": {"predictor": PREDICTOR | {"canaryTraffic": 10}}}
    assert unknown_fields(broken, "V1beta1InferenceService") == ["V1beta1PredictorSpec.canaryTraffic"]


def test_it_scales_by_concurrency_and_gives_the_newest_revision_a_share():
    assert PREDICTOR["scaleMetric"] == "concurrency"
    assert 0 < PREDICTOR["scaleTarget"] <= PREDICTOR["containerConcurrency"]
    assert 0 < PREDICTOR["canaryTrafficPercent"] < 50
    assert 1 <= PREDICTOR["minReplicas"] < PREDICTOR["maxReplicas"]


def test_the_container_runs_the_predictor_module_on_the_probed_port_and_pins_the_digest():
    assert CONTAINER["name"] == "kserve-container"  # the name that KServe's storage initializer and Knative look for
    module = CONTAINER["command"][-1]
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
    args = dict(one.removeprefix("--").split("=", 1) for one in CONTAINER["args"])
    assert args["model_name"] == MANIFEST["metadata"]["name"]
    assert re.fullmatch(r"[0-9a-f]{64}", args["model_digest"])
    port = CONTAINER["ports"][0]["containerPort"]
    assert args["http_port"] == str(port)
    for probe in ("readinessProbe", "livenessProbe"):
        assert CONTAINER[probe]["httpGet"]["port"] == port


def test_the_container_is_no_root_and_has_limits():
    assert PREDICTOR["securityContext"]["runAsNonRoot"]
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]
    assert CONTAINER["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert {"cpu", "memory"} <= set(CONTAINER["resources"]["limits"])
