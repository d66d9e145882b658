"""What `make docs` does beside MkDocs' own: formulas become MathML, and tutorials scripts.

MathML is what browsers draw by themselves: MathJax and KaTeX would be loaded from elsewhere, or
be a copy of theirs. The pages hold LaTeX between dollars, as GitHub shows it, too.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import latex2mathml.converter
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from page_script import script_of

# What pymdownx.arithmatex leaves of `$…$` and `$$…$$`.
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.S)
DISPLAYED = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.S)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Each tutorial stands beside its page as a script."""
    for page in list(files.documentation_pages()):
        if page.src_uri.startswith("tutorials/"):
            name = page.src_uri.removesuffix(".md") + ".py"
            files.append(File.generated(config, name, content=script_of(page.content_string)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A tutorial says below its first paragraph that it is a script, too."""
    uri = page.file.src_uri
    if not uri.startswith("tutorials/"):
        return markdown
    script = Path(uri).with_suffix(".py").name
    title, first, rest = markdown.lstrip().split("\n\n", 2)
    also = f"All of this page is also [one script]({script}), to be run in an empty folder."
    return "\n\n".join((title, first, also, rest))


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as what a browser draws without help."""
    content = INLINE.sub(lambda found: _mathml(found[1], "inline"), content)
    return DISPLAYED.sub(lambda found: _mathml(found[1], "block"), content)


def _mathml(latex: str, display: str) -> str:
    formula = latex2mathml.converter.convert(html.unescape(latex).strip(), display=display)
    return f'<div class="formula">{formula}</div>' if display == "block" else formula
