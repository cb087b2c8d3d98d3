"""Links inside the repository lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, anchors, documents, links


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_repository_resolve(document: Path) -> None:
    broken: list[str] = []
    for target in links(document):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        there = (document.parent / file).resolve() if file else document
        if not there.exists() or not there.is_relative_to(ROOT):
            broken.append(target)
        elif anchor and anchor not in anchors(there):
            broken.append(f"{target} (it has {', '.join(sorted(anchors(there)))})")
    assert not broken


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached or not document.exists():
            continue
        reached.add(document)
        for target in links(document):
            there = (document.parent / target.partition("#")[0]).resolve()
            if there.is_dir():
                there /= "README.md"
            if there.suffix == ".md":
                waiting.append(there)
    assert set(documents()) <= reached
