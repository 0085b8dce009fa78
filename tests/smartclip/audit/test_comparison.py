from pathlib import Path

from smartclip.audit.comparison import Cut, compare
from smartclip.audit.findings import Findings
from smartclip.audit.run import Concepts, audit_captions


def audited(path: Path, text: str) -> Findings:
    path.write_text(text)
    return audit_captions([path], Concepts(least=1))[0]


def test_two_corpora_by_what_each_identifies(tmp_path: Path) -> None:
    first = audited(tmp_path / "a.txt", "dog, leash\ndog\ncat, fox\n")
    second = audited(tmp_path / "b.txt", "dog, leash\nleash\ncat, fox\nowl\n")
    found = compare(first, second)
    assert found.alone_in_both == ()
    assert found.alone_in_first == ("dog",)
    assert found.alone_in_second == ("leash", "owl")
    assert found.bound_in_both == ("cat", "fox")
    assert Cut(concept="leash", other="dog", mentions=2, exceptions=1) in found.cuts
    assert Cut(concept="cat", other="fox", mentions=1, exceptions=0) in found.cuts
