"""One HTML file that holds everything it shows: it can be mailed, archived, and opened without a network."""

from __future__ import annotations

import base64
import html
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.files import write_atomically
from core.reporting.tables import Table

if TYPE_CHECKING:
    import plotly.graph_objects as go

# The browser is told to load nothing at all; plotly compiles its shaders' glue with eval and saves images
# by blob.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:; font-src data:; worker-src blob:; base-uri 'none'; form-action 'none'"
)

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d8dee4; --paper: #ffffff;
  --band: #f5f7f9; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #9aa5b1; --line: #353c45;
  --paper: #16191d; --band: #1e2328; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 1.5rem; border-bottom: 3px solid var(--accent);
  padding-bottom: .6rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
p { max-width: 46rem; margin: .6rem 0; white-space: pre-line; }
figure { margin: 1.2rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 6px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; max-width: 46rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .9rem .38rem .5rem; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; border-bottom-width: 2px; }
tbody tr:nth-child(even) { background: var(--band); }
.number { text-align: right; white-space: nowrap; }
"""

# One camera for all 3-D scenes of a figure. While an update is on its way only the newest camera is kept,
# so that a fast hand never queues work; the camera that moved is set too, or the update would put it back.
TURN_TOGETHER = """
(function () {
  var plot = document.getElementById("%s");
  var scenes = Object.keys(plot.layout).filter(function (name) { return /^scene[0-9]*$/.test(name); });
  var busy = false, latest = null;
  function turn() {
    if (busy || latest === null) return;
    var camera = JSON.stringify(latest), update = {};
    scenes.forEach(function (name) { update[name + ".camera"] = JSON.parse(camera); });
    busy = true; latest = null;
    Plotly.relayout(plot, update).then(function () { busy = false; turn(); });
  }
  function isCamera(name) { return /^scene[0-9]*[.]camera$/.test(name); }
  function moved(event) {
    var key = Object.keys(event || {}).find(isCamera);
    if (!key || Object.keys(event).filter(isCamera).length > 1) return;  // none, or the echo of turn()
    latest = event[key]; turn();
  }
  plot.on("plotly_relayouting", moved);
  plot.on("plotly_relayout", moved);
})();
"""


class Page:
    """Collects text, tables, images and figures in order, and writes them as one self-contained HTML file.

    All text is escaped; nothing passed in is taken as HTML.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []
        self._figures = 0

    def add_heading(self, text: str) -> None:
        """A section heading."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def add_text(self, text: str) -> None:
        """Paragraphs, parted by blank lines; single line breaks are kept."""
        paragraphs = (paragraph.strip() for paragraph in text.split("\n\n"))
        self._parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs if paragraph]

    def add_code(self, text: str) -> None:
        """Text as it stands, in fixed width."""
        self._parts.append(f'<div class="scroll"><pre>{html.escape(text)}</pre></div>')

    def add_table(self, table: Table, caption: str = "") -> None:
        """A table; it scrolls sideways where the window is too narrow."""
        self._parts.append(f'<figure><div class="scroll">{table.html()}</div>{_caption(caption)}</figure>')

    def add_image(self, png: str | Path, caption: str = "") -> None:
        """A PNG file, embedded; shown at most at its width in CSS pixels.

        Raises:
            UserError: missing, or not a PNG.
        """
        try:
            content = Path(png).read_bytes()
        except OSError as error:
            raise UserError(f"{png}: cannot be read ({error.strerror}); expected a PNG image") from error
        if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 33:
            raise UserError(f"{png}: not a PNG image")
        width, height = struct.unpack(">II", content[16:24])
        data = base64.b64encode(content).decode()
        self._parts.append(
            f'<figure><img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
            f'alt="{html.escape(caption or Path(png).stem)}">{_caption(caption)}</figure>'
        )

    def add_figure(self, figure: go.Figure, caption: str = "", turn_together: bool = False) -> None:
        """A plotly figure; plotly's own script is embedded once a page.

        Args:
            figure: any plotly figure. Plotly escapes the text inside it, except for a few tags such as
                ``<b>``.
            caption: text below.
            turn_together: one camera for all 3-D scenes of the figure.
        """
        import plotly.io
        from plotly.offline import get_plotlyjs

        if self._figures == 0:
            self._parts.append(f"<script>{get_plotlyjs()}</script>")
        self._figures += 1
        name = f"figure-{self._figures}"
        body = plotly.io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            include_mathjax=False,
            div_id=name,
            config={"displaylogo": False, "responsive": True},
            post_script=TURN_TOGETHER % name if turn_together else None,
        )
        self._parts.append(f"<figure>{body}{_caption(caption)}</figure>")

    def html(self) -> str:
        """The whole page."""
        title = html.escape(self.title)
        body = "\n".join(self._parts)
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page atomically, creating its folder."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, self.html().encode("utf-8"))
        return path


def _caption(text: str) -> str:
    return f"<figcaption>{html.escape(text)}</figcaption>" if text else ""
