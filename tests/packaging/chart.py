"""The chart, rendered by a real Helm."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "treecache-exporter"
#: Values files for several situations, which together use every value, as test_chart.py checks.
CASES = sorted((CHART / "ci").glob("*-values.yaml"))
RELEASE, NAMESPACE = "watch", "zookeeper"
#: The API of Prometheus Operator, and its kinds that the chart looks for in a cluster.
OPERATOR = "monitoring.coreos.com/v1"
OPERATOR_KINDS = ("PodMonitor", "PrometheusRule", "ServiceMonitor")

Manifest = dict[str, Any]


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs Helm, which `make test` installs next to Python, and waits for its end."""
    beside_python = Path(sys.executable).with_name("helm")
    command = beside_python if beside_python.exists() else shutil.which("helm")
    assert command is not None, "there is no helm; scripts/setup.sh dev installs it"
    return subprocess.run([command, *words], capture_output=True, text=True, timeout=60)


@cache
def render(
    *flags: str | Path, chart: Path = CHART, operator: Sequence[str] | None = OPERATOR_KINDS, release: str = RELEASE
) -> Sequence[Manifest]:
    """The manifests of the chart; `flags` are Helm's, `operator` is what the cluster knows of Prometheus Operator.

    They are rendered once and shared: do not change them.
    """
    versions = [] if operator is None else [OPERATOR, *(f"{OPERATOR}/{kind}" for kind in operator)]
    known = [f"--api-versions={version}" for version in versions]
    rendered = helm("template", release, chart, "--namespace", NAMESPACE, *known, *flags)
    assert rendered.returncode == 0, rendered.stderr
    return [manifest for manifest in YAML(typ="safe").load_all(rendered.stdout) if manifest is not None]


def case(name: str) -> Path:
    """The values file of this situation."""
    (found,) = [file for file in CASES if file.stem == f"{name}-values"]
    return found


def render_case(values: Path, *flags: str) -> Sequence[Manifest]:
    """The manifests of this situation."""
    return render("--values", values, *flags)


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    """The manifests of these kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def only(manifests: Sequence[Manifest], kind: str) -> Manifest:
    """The one manifest of a kind."""
    (found,) = of_kind(manifests, kind)
    return found


def workloads(manifests: Sequence[Manifest]) -> list[Manifest]:
    """The manifest that creates pods."""
    return of_kind(manifests, "Deployment", "StatefulSet")


def pod(workload: Manifest) -> Manifest:
    """The specification of a workload's pods."""
    specification: Manifest = workload["spec"]["template"]["spec"]
    return specification


def container(workload: Manifest) -> Manifest:
    """The exporter's container in a workload's pods."""
    found: Manifest
    (found,) = [one for one in pod(workload)["containers"] if one["name"] == "exporter"]
    return found
