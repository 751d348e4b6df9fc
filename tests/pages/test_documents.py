"""The documents as pages: every link and anchor works, and the pages contain only what the Markdown says."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import bcrypt
import pytest

from exporter.config.web import load
from exporter.pages import documents
from exporter.pages.conditions import CONDITIONS, CONNECTIONS
from exporter.pages.documents import Documents
from exporter.telemetry.catalogue import GROUPS
from exporter.web.guard import SECURITY_HEADERS
from tests import plainhttp
from tests.web.running import running

ROOT = Path(__file__).parents[2]
#: All but the page that only the site has.
NAMES = sorted({file.stem for file in (ROOT / "docs").glob("*.md")} - {"api"})
RULES = (ROOT / "dashboards" / "prometheus" / "treecache-alerts.yml").read_text()


def page(text: str, *others: str) -> str:
    """The page of a document with this text, next to these others."""
    found = Documents({"one": text, **dict.fromkeys(others, "")}).find("one")
    assert found is not None
    return found.html.strip()


def anchors(page: str) -> set[str]:
    return set(re.findall(r' id="([^"]*)"', page))


def test_all_documents_are_there_the_runbooks_first() -> None:
    found = [document.name for document in documents.packaged()]
    assert found[0] == "runbooks"
    assert sorted(found) == NAMES


@pytest.mark.starts
def test_each_runbook_that_something_leads_to_is_there() -> None:
    with running() as server:
        served = plainhttp.get(f"{server.url}/docs/runbooks").text
    alerts = set(re.findall(r"alert: (\w+)", RULES))
    linked = set(re.findall(r"runbook_url: \S*#(\w+)", RULES))
    conditions = {one.runbook.lower() for one in CONDITIONS if one.runbook}
    # In lower case, and as Grafana writes them.
    assert {name.lower() for name in alerts} | alerts <= anchors(served)
    connections = {one.runbook.lower() for one in CONNECTIONS.values() if one.runbook}
    assert linked | conditions | connections <= anchors(served)
    assert {urldefrag(documents.runbook(one.runbook))[1] for one in CONDITIONS} - {""} == conditions


@pytest.mark.starts
@pytest.mark.parametrize("prefix", ["", "/monitors/zk"])
def test_each_link_leads_somewhere(prefix: str) -> None:
    with running(prefix=prefix) as server, plainhttp.Client() as client:
        first = f"{server.url}{prefix}/docs"
        left, seen = [first], {first: set[str]()}
        wanted: set[tuple[str, str]] = set()
        while left:
            address = left.pop()
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert "{{" not in re.sub("<code.*?</code>", "", answer.text, flags=re.DOTALL)
            seen[address] = anchors(answer.text)
            for link in re.findall(r'<a[^>]* href="([^"]*)"', answer.text):
                target, anchor = urldefrag(urljoin(address, link))
                if not target.startswith(first):
                    continue
                wanted |= {(target, anchor)} if anchor else set()
                if target not in seen:
                    seen[target] = set()
                    left.append(target)
        assert set(seen) == {first, *(f"{first}/{name}" for name in NAMES)}
        assert [link for link in wanted if link[1] not in seen[link[0]]] == []
        # And from there back.
        assert client.get(urljoin(f"{first}/runbooks", "../")).status_code == 200


@pytest.mark.starts
def test_they_are_guarded_as_the_other_pages_are(tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    config.write_text(f"basic_auth_users: {{alice: {bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}}}\n")
    with running(config=load(config)) as server, plainhttp.Client(base_url=server.url) as client:
        for path in ("/docs", "/docs/runbooks", "/docs/nothing"):
            refused = client.get(path)
            answer = client.get(path, auth=("alice", "secret"))
            assert refused.status_code == 401
            assert answer.status_code == (404 if path == "/docs/nothing" else 200)
            for header, value in SECURITY_HEADERS.items():
                assert answer.headers[header] == value


@pytest.mark.starts
@pytest.mark.parametrize("path", ["/docs/", "/docs/nothing", "/docs/../README", "/docs/%2e%2e%2fREADME", "/docs/a/b"])
def test_what_is_no_document(path: str) -> None:
    with running() as server:
        assert plainhttp.get(f"{server.url}{path}").status_code == 404


@pytest.mark.starts
def test_each_metric_is_explained() -> None:
    with running() as server:
        served = plainhttp.get(f"{server.url}/docs/metrics").text
    assert [metric.name for group in GROUPS for metric in group.metrics if metric.name not in served] == []


def test_documents_hold_no_html_that_would_be_missed() -> None:
    for name in NAMES:
        text = (ROOT / "docs" / f"{name}.md").read_text()
        prose = re.sub(
            r"```.*?```|`[^`]*`|^ {4}.*?$|<!-- [\w ]+ -->|<https?://[^>]*>", "", text, flags=re.DOTALL | re.MULTILINE
        )
        assert re.findall(r"</?[a-zA-Z!][^>]*>", prose) == [], name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>alert(1)</script>", ""),
        ("a <b onclick=x>b</b> <!-- c -->", "<p>a b </p>"),
        ('`<b>` & "c"', "<p><code>&lt;b&gt;</code> &amp; &quot;c&quot;</p>"),
        ("    <b>\n", '<pre tabindex="0"><code>&lt;b&gt;\n</code></pre>'),
        ("```yaml\na: <b>\n```", '<pre tabindex="0"><code>a: &lt;b&gt;\n</code></pre>'),
        ("[a](javascript:alert)", "<p>[a](javascript:alert)</p>"),
        ('[a](https://a.example/?b="c&d)', '<p><a href="https://a.example/?b=%22c&amp;d">a</a></p>'),
        ("![a *tree*](tree.png)", "<p><em>a tree</em></p>"),
        ("## TreeCacheLag", '<h2 id="treecachelag"><a id="TreeCacheLag"></a>TreeCacheLag</h2>'),
        ("[below](#a-b)", '<p><a href="#a-b">below</a></p>'),
        ("[two](two.md), [there](two.md#a)", '<p><a href="two">two</a>, <a href="two#a">there</a></p>'),
        ("[a file](../a/b.yml)", "<p>a file (<code>a/b.yml</code>)</p>"),
        ("[docs/three.md](three.md)", "<p>docs/three.md</p>"),
        ("[`x`](../../../y)", "<p><code>x</code> (<code>../../y</code>)</p>"),
        (
            "## Why `a_b`, *c*?\n## Why a_b c",
            '<h2 id="why-a_b-c">Why <code>a_b</code>, <em>c</em>?</h2>\n<h2 id="why-a_b-c-1">Why a_b c</h2>',
        ),
    ],
)
def test_what_markdown_becomes(text: str, expected: str) -> None:
    assert page(text, "two") == expected


def test_cells_know_their_columns() -> None:
    table = page("|a|`b`|\n|---|---|\n|1|2|\n")
    assert '<td data-label="a">1</td>' in table
    assert '<td data-label="b">2</td>' in table


def test_titles_and_sections() -> None:
    found = Documents({"a": "# A title\n\n## One\n\n### Below\n\n## Two words\n", "b": "no title"})
    assert [(document.title, dict(document.sections)) for document in found] == [
        ("A title", {"one": "One", "two-words": "Two words"}),
        ("b", {}),
    ]
    assert "A title" not in next(iter(found)).html
