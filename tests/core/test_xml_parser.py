from __future__ import annotations

import pytest

from ssd_edge.core.xml_parser import parse_xml


def test_large_xml_has_a_limit_of_depth_and_small_xml_needs_none() -> None:
    wide = "<a>" + "<b/>" * 50_000 + "</a>"
    assert len(parse_xml(wide)) == 50_000
    with pytest.raises(ValueError, match="more than 100 nested elements"):
        parse_xml("<annotation>" * 10_000 + "</annotation>" * 10_000)
    assert parse_xml("<a><b>1</b></a>").findtext("b") == "1"
