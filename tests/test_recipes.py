"""The recipes of CONTRIBUTING.md, followed in a copy of the repository with the files that they name, and no others."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: What of the repository the recipes and the tests that judge them need.
NEEDED = ("CONTRIBUTING.md", "README.md", "pyproject.toml", "dashboards", "docs", "exporter", "scripts", "tests")
RECIPES = (
    "A cache metric",
    "A traced operation",
    "A tree key",
    "A collector",
    "An alert",
    "A kazoo release that renames a private attribute",
    "A value of rules",
    "A strategy",
)

#: An edit: a text that the file has once, and what is there afterwards.
Edit = tuple[str, str]


def recipes() -> dict[str, str]:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("\n## Recipes\n")[2].partition("\n## ")[0]
    found = re.findall(r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", section, re.MULTILINE | re.DOTALL)
    return dict(found)


def files_of(recipe: str) -> list[str]:
    """The files that a recipe names, in its order."""
    return re.findall(r"^\| `([^`]+)` \|", recipes()[recipe], re.MULTILINE)


class Copy:
    """A copy of the repository, in which a recipe is followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        leave_out = shutil.ignore_patterns("__pycache__", "*.png")
        for name in NEEDED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=leave_out)
            else:
                shutil.copy(source, folder / name)

    def follow(self, recipe: str, edits: Mapping[str, list[Edit]], **placeholders: str) -> None:
        """Does what a recipe says: these edits, in the files that it names."""
        named = files_of(recipe)
        for placeholder, name in placeholders.items():
            named = [file.replace(placeholder, name) for file in named]
        assert list(edits) == named, "the recipe names other files"
        for name, changes in edits.items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            text = path.read_text("utf-8") if path.exists() else ""
            for old, new in changes:
                assert not old or text.count(old) == 1, f"{name} has not once: {old}"
                text = text.replace(old, new) if old else new
            path.write_text(text, "utf-8")

    def generate(self, *names: str) -> None:
        """Does what `make generate` does, as far as it follows from what was changed, by default from the catalogue."""
        self._python("-m", "scripts.generate", *(names or ("metrics", "scrapes")))

    def run(self, script: str) -> str:
        """What a script prints that imports the copy's modules."""
        return self._python("-c", script)

    def test(self, *arguments: str) -> None:
        """Runs some of the copy's tests."""
        self._python("-m", "pytest", "--quiet", "-p", "no:cacheprovider", *arguments)

    def _python(self, *arguments: str) -> str:
        # The folder that Python runs in comes before the one that the package is installed from.
        done = subprocess.run([sys.executable, *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


def test_there_are_these_recipes() -> None:
    assert tuple(recipes()) == RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_a_recipe_names_exists(recipe: str) -> None:
    for name in files_of(recipe):
        assert "NAME" in name or "FOLDER" in name or (ROOT / name).exists(), name


LUCK = 'CACHE_LUCK = _gauge("zookeeper_cache_luck", "How lucky the cache is.")'


@pytest.mark.long
def test_a_cache_metric(copy: Copy) -> None:
    copy.follow(
        "A cache metric",
        {
            "exporter/treecache/stats.py": [
                ('    root: str = "unknown"\n', '    root: str = "unknown"\n    luck: int = 0\n')
            ],
            "exporter/treecache/cache.py": [("return CacheStats(\n", "return CacheStats(\n            luck=13,\n")],
            "exporter/telemetry/catalogue.py": [
                (
                    "\nCLIENT = Group(",
                    '\nCACHE_LUCK = _gauge("zookeeper_cache_luck", "How lucky the cache is.")\n\nCLIENT = Group(',
                ),
                ("        CACHE_INFO,\n", "        CACHE_INFO,\n        CACHE_LUCK,\n"),
            ],
            "exporter/telemetry/collectors.py": [
                (
                    "CACHE_READERS: Mapping[str, Reader[CacheStats]] = {\n",
                    "CACHE_READERS: Mapping[str, Reader[CacheStats]] = {\n"
                    "    catalogue.CACHE_LUCK.name: lambda stats: _one(stats.luck),\n",
                )
            ],
            "tests/telemetry/known.py": [("BUSY_CACHE = CacheStats(\n", "BUSY_CACHE = CacheStats(\n    luck=7,\n")],
            "tests/dashboards/test_queries.py": [
                ("UNUSED: dict[str, str] = {\n", unused("zookeeper_cache_luck")),
            ],
        },
    )
    copy.generate()
    scraped = copy.run(
        "from kazoo.client import KazooClient; from exporter import TreeCache;"
        "from prometheus_client import CollectorRegistry, generate_latest;"
        "from exporter.telemetry.collectors import build_registry;"
        "from exporter.telemetry.sources import EnsembleSource;"
        "from exporter.zookeeper.session import Session;"
        "client = KazooClient(); cache = TreeCache(client, '/a');"
        "source = EnsembleSource('main', Session.attach(client), {'/a': cache});"
        "print(generate_latest(build_registry([source], '1')).decode())"
    )
    assert 'zookeeper_cache_luck{ensemble="main",tree="/a"} 13.0\n' in scraped
    assert "| `zookeeper_cache_luck` | gauge |  | How lucky the cache is. |" in _text(copy, "docs/metrics.md")
    assert 'zookeeper_cache_luck{ensemble="main",tree="/odd \\"path\\"\\\\"} 7.0' in _text(
        copy, "tests/golden/metrics.txt"
    )
    copy.test(
        "tests/telemetry/test_catalogue.py",
        "tests/telemetry/test_reference.py",
        "tests/telemetry/test_collectors.py",
        "tests/dashboards/test_queries.py::test_each_metric_is_used_or_deliberately_not",
        "-k=not real_tree and not promtool",
    )


@pytest.mark.long
def test_a_traced_operation(copy: Copy) -> None:
    copy.follow(
        "A traced operation",
        {"exporter/zookeeper/calls.py": [('    106: "addWatch",\n', '    106: "addWatch",\n    107: "whoAmI",\n')]},
    )
    copy.generate()
    spans = copy.run(
        "from types import SimpleNamespace as Request; from opentelemetry.sdk.trace import TracerProvider;"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor;"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter;"
        "from exporter.telemetry.tracing.calls import CallSpans; from exporter.zookeeper.calls import Call;"
        "provider, spans = TracerProvider(), InMemorySpanExporter();"
        "provider.add_span_processor(SimpleSpanProcessor(spans));"
        "observer = CallSpans(provider.get_tracer('test'), '/chroot');"
        "call = Call(Request(type=107), (observer,), 'zk1:2181'); observer.call_began(call); call.end(None);"
        "print(*[(span.name, span.attributes['db.operation.name']) for span in spans.get_finished_spans()])"
    )
    assert spans == "('whoAmI', 'whoAmI')\n"
    assert 'operation="whoAmI"' in _text(copy, "tests/golden/metrics.txt")
    assert "`whoAmI`" in _text(copy, "docs/metrics.md")
    copy.test(
        "tests/telemetry/test_catalogue.py",
        "tests/telemetry/test_reference.py",
        "tests/telemetry/test_collectors.py",
        "-k=not real_tree and not promtool",
    )


@pytest.mark.long
def test_a_tree_key(copy: Copy) -> None:
    copy.follow(
        "A tree key",
        {
            "exporter/treecache/options.py": [
                ("    old_data: bool\n", "    old_data: bool\n    luck: int | None\n"),
                (
                    "    old_data: Annotated[bool, _SWITCH] = False\n",
                    "    old_data: Annotated[bool, _SWITCH] = False\n"
                    "    luck: Annotated[int | None, _at_least(1, or_none=True)] = None\n",
                ),
            ],
            "exporter/treecache/cache.py": [
                (
                    "        freshness_interval: the seconds from",
                    "        luck: how much of it to have.\n        freshness_interval: the seconds from",
                )
            ],
            "exporter/treecache/replica.py": [
                (
                    "        self._phases = attachment.phases\n",
                    "        self._phases = attachment.phases\n        self._luck = options.luck\n",
                )
            ],
            "exporter/config/schema.py": [
                (
                    "    freshness: Freshness = Field(",
                    '    luck: Positive | None = Field(default=None, description="Luck to have.")\n'
                    "    freshness: Freshness = Field(",
                )
            ],
            "tests/test_options.py": [
                ('    "old_data": True,\n', '    "old_data": True,\n    "luck": 7,\n'),
                (
                    '    "freshness.interval": (',
                    '    "luck": ("luck", "7"),\n    "freshness.interval": (',
                ),
            ],
        },
        NAME="replica",
    )
    copy.generate("schema")
    assert '"luck": {' in _text(copy, "docs/config.schema.json")
    copy.test("tests/test_options.py", "tests/config/test_schema.py", "-k=options or option or current or key")


COLLECTOR = '''"""Counts the threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from prometheus_client import Metric as Family

from exporter.telemetry import catalogue
from exporter.telemetry.collecting import Collector


class ThreadsCollector(Collector):
    """Gives the number of Python's threads."""

    def __init__(self) -> None:
        super().__init__("threads", catalogue.THREADS_GROUP.metrics)

    def collect(self) -> Iterator[Family]:
        """The number as it is now."""
        family = catalogue.THREADS.family()
        family.add_sample(catalogue.THREADS.name, {}, threading.active_count())
        yield family
'''


@pytest.mark.long
def test_a_collector(copy: Copy) -> None:
    copy.follow(
        "A collector",
        {
            "exporter/telemetry/catalogue.py": [
                (
                    "\nGROUPS = (CACHE, CLIENT, SERVERS, RULES, EXPORTER,",
                    '\nTHREADS = _gauge("treecache_exporter_threads", "Threads of Python.")\n'
                    'THREADS_GROUP = Group(title="Threads", labels=(), metrics=(THREADS,))\n'
                    "GROUPS = (CACHE, CLIENT, SERVERS, RULES, EXPORTER, THREADS_GROUP,",
                )
            ],
            "exporter/threads/__init__.py": [("", '"""Threads of this process."""\n')],
            "exporter/threads/collector.py": [("", COLLECTOR)],
            "exporter/daemon/collectors.py": [
                (
                    "from exporter.telemetry.sources",
                    "from exporter.threads.collector import ThreadsCollector\nfrom exporter.telemetry.sources",
                ),
                ("    return [\n", "    return [\n        ThreadsCollector(),\n"),
            ],
            "tests/test_imports.py": [
                ('    ("pages",),\n', '    ("pages", "threads"),\n'),
                ('    "cli": set(),\n', '    "cli": set(),\n    "threads": {"prometheus_client"},\n'),
            ],
            "tests/dashboards/test_queries.py": [
                (
                    "UNUSED: dict[str, str] = {\n",
                    'UNUSED: dict[str, str] = {\n    "treecache_exporter_threads": "a test",\n',
                )
            ],
        },
        FOLDER="threads",
    )
    copy.generate()
    scraped = copy.run(
        "from exporter.config.settings import Settings; from exporter.daemon.collectors import collectors;"
        "from exporter.telemetry.collecting import registry_of; from exporter.telemetry.sources import ReloadStats;"
        "from types import SimpleNamespace; from prometheus_client import generate_latest;"
        "reloads = SimpleNamespace(stats=ReloadStats);"
        "found = collectors(Settings(ensembles=()), [], reloads, lambda: 0);"
        "print(generate_latest(registry_of(found)).decode())"
    )
    assert re.search(r"^treecache_exporter_threads [1-9]", scraped, re.MULTILINE)
    assert 'treecache_exporter_collector_success{collector="threads"} 1.0\n' in scraped
    assert 'treecache_exporter_collector_duration_seconds{collector="threads"}' in scraped
    assert "| `treecache_exporter_threads` | gauge |  | Threads of Python. |" in _text(copy, "docs/metrics.md")
    copy.test(
        "tests/telemetry/test_catalogue.py",
        "tests/telemetry/test_reference.py",
        "tests/dashboards/test_queries.py::test_each_metric_is_used_or_deliberately_not",
        "tests/test_imports.py",
        "-k=not bring",
    )


def unused(metric: str) -> str:
    return f'UNUSED: dict[str, str] = {{\n    "{metric}": "a test",\n'


def _text(copy: Copy, name: str) -> str:
    return (copy.folder / name).read_text("utf-8")
