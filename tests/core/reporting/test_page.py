from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.errors import UserError
from core.reporting import page as module
from core.reporting.page import Page
from core.reporting.png import new_figure, save_png
from core.reporting.tables import Table


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.tags


@pytest.fixture
def png(tmp_path: Path) -> Path:
    figure = new_figure(2, 1)
    figure.text(0.5, 0.5, "x")
    return save_png(figure, tmp_path / "a.png")


def full_page(png: Path, title: str = "Report") -> Page:
    import plotly.graph_objects as go

    page = Page(title)
    page.add_heading("Part & whole")
    page.add_text("First.\n\nSecond <b>plain</b>.")
    page.add_table(Table(("a",), [(1,)]), "a table")
    page.add_image(png, "an image")
    page.add_figure(go.Figure(go.Scatter(x=[1], y=[2])), "a figure")
    page.add_figure(go.Figure(go.Scatter3d(x=[1], y=[2], z=[3])), turn_together=True)
    return page


def test_nothing_in_the_page_points_to_the_network(png: Path) -> None:
    html = full_page(png).html()
    tags = tags_of(html)
    for tag, attributes in tags:
        assert tag != "link"
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, attributes)
    outside_scripts = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert "http://" not in outside_scripts
    assert "https://" not in outside_scripts
    assert "url(" not in outside_scripts
    assert "@import" not in outside_scripts
    policies = [a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert str(policies[0]).startswith("default-src 'none'")


def test_plotly_is_embedded_once_and_only_when_needed(png: Path) -> None:
    from plotly.offline import get_plotlyjs

    html = full_page(png).html()
    assert html.count(get_plotlyjs()[:500]) == 1
    assert html.count('id="figure-1"') == 1
    assert html.count('id="figure-2"') == 1
    assert html.count("function moved(event)") == 1  # only the figure that asked for it
    assert len(Page("x").html()) < 5000


def test_all_text_is_escaped(png: Path) -> None:
    import plotly.graph_objects as go

    evil = '<script>alert("x")</script><img src=http://evil.example/x>'
    page = Page(evil)
    page.add_heading(evil)
    page.add_text(evil)
    page.add_table(Table((evil,), [(evil,)]), evil)
    page.add_image(png, evil)
    page.add_figure(go.Figure(go.Scatter(x=[1], y=[2], name=evil), layout={"title": {"text": evil}}), evil)
    html = page.html()
    assert "<script>alert" not in html
    tags = tags_of(html)
    assert [t for t, _ in tags].count("img") == 1
    assert "&lt;script&gt;alert(&quot;x&quot;)" in html


def test_the_image_is_embedded_whole_with_its_size(png: Path) -> None:
    image = next(a for t, a in tags_of(full_page(png).html()) if t == "img")
    assert base64.b64decode(str(image["src"]).partition(",")[2]) == png.read_bytes()
    assert (image["width"], image["height"]) == ("240", "120")


def test_what_is_no_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match=r"b\.png: not a PNG"):
        Page("x").add_image(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"none\.png: cannot be read"):
        Page("x").add_image(tmp_path / "none.png")


def test_written_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "report.html"
    Page("first").write(path)
    assert "<h1>first</h1>" in path.read_text(encoding="utf-8")
    monkeypatch.setattr("core.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        Page("second").write(path)
    assert "<h1>first</h1>" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_paragraphs() -> None:
    page = Page("x")
    page.add_text("one\ntwo\n\n\n\nthree\n")
    assert "<p>one\ntwo</p>\n<p>three</p>" in page.html()
    assert "prefers-color-scheme: dark" in module.STYLE


def test_code_keeps_its_lines_and_indentation() -> None:
    page = Page("x")
    page.add_code("a:\n  b: <1>\n")
    assert "<pre>a:\n  b: &lt;1&gt;\n</pre>" in page.html()
