"""Checks that Kubernetes accepts a manifest: schemas of Kubernetes and of Prometheus Operator, Pod Security.

`crds/` holds the operator's own definitions of version 0.93.0 (Apache License 2.0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from jsonschema import Draft202012Validator
from kubernetes_validate import utils
from ruamel.yaml import YAML

from tests.packaging.chart import OPERATOR, Manifest

CRDS = Path(__file__).parent / "crds"
#: The oldest Kubernetes that Chart.yaml allows, and the newest known one.
KUBERNETES = ("1.25", kubernetes_validate.latest_version())

#: Kubernetes' restricted profile: https://kubernetes.io/docs/concepts/security/pod-security-standards/
_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
    "name",
}

# Cached: the file has several megabytes.
utils.schema_contents = cache(utils.schema_contents)


def complaints(manifest: Manifest) -> list[str]:
    """What Kubernetes or Prometheus Operator would refuse in a manifest, unknown keys included."""
    if manifest["apiVersion"] == OPERATOR:
        validator = _operators(manifest["kind"])
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]
    return [complaint for version in KUBERNETES for complaint in _kubernetes(manifest, version)]


def _kubernetes(manifest: Manifest, version: str) -> Iterator[str]:
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"Kubernetes {version}: {error.json_path}: {error.message}"


@cache
def _operators(kind: str) -> Draft202012Validator:
    definition = YAML(typ="safe").load(CRDS / f"{kind.lower()}s.yaml")
    (schema,) = [
        version["schema"]["openAPIV3Schema"] for version in definition["spec"]["versions"] if version["served"]
    ]
    return Draft202012Validator(_strict(schema))


def _strict(schema: Any) -> Any:
    """A schema that refuses unknown keys, which Kubernetes itself would drop."""
    if isinstance(schema, Mapping):
        made = {key: _strict(value) for key, value in schema.items()}
        if "properties" in made and isinstance(made.get("type"), str):
            made.setdefault("additionalProperties", False)
        return made
    return [_strict(item) for item in schema] if isinstance(schema, list) else schema


def breaches_of_pod_security(pod: Manifest) -> list[str]:
    """What the restricted profile forbids in a pod's specification, and what a review would."""
    return [*_of_pod(pod), *(breach for container in pod["containers"] for breach in _of_container(container))]


def _of_pod(pod: Manifest) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("runAsUser", 1) == 0:
        yield "runs as root"
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    yield from (name for name in ("sysctls", "seLinuxOptions") if security.get(name))
    for volume in pod.get("volumes", []):
        yield from (f"volume {kind}" for kind in volume.keys() - _VOLUMES)
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"


def _of_container(container: Manifest) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem"
    capabilities = security.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
    yield from (name for name in ("privileged", "procMount") if security.get(name))
    if security.get("runAsUser", 1) == 0 or security.get("runAsNonRoot", True) is False:
        yield "a container runs as root"
    yield from ("hostPort" for port in container.get("ports", []) if "hostPort" in port)
