import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path

from bedplate.config import Schema, read_schema
from bedplate.config.oslo import option_set
from bedplate.config.readers.stats import Count, count, counts_csv, counts_svg, counts_text

DATA = Path(__file__).parents[3] / "data" / "openstack"


def keystones() -> list[Count]:
    return [
        count(version, read_schema(DATA / f"keystone-{version}-ns.json"))
        for version in ("21.0.1", "30.0.0")
    ]


def test_options_are_counted_by_kind() -> None:
    """What a released service has is counted as it is known to be."""
    assert count("nova", read_schema(DATA / "nova.json")) == Count(
        name="nova",
        sections=62,
        options=1137,
        required=10,
        mutable=6,
        deprecated=30,
        old_names=75,
        secret=32,
        plain=496,
        unchecked=0,
    )
    assert count("none", Schema()) == Count("none", 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_what_only_its_program_knows_is_unchecked() -> None:
    """A type of a kind nobody knows is counted apart from text of any kind."""
    opts = [
        {"name": "a", "type": "unknown value", "secret": True},
        {"name": "b", "type": "string value"},
        {"name": "c", "type": "string value", "choices": ["x"]},
    ]
    counted = count("x", option_set({"options": {"g": {"opts": opts}}}, "x"))
    assert (counted.unchecked, counted.plain, counted.options) == (1, 1, 3)


def test_a_table_has_a_row_a_release() -> None:
    """Figures stand below their heads, to the right."""
    assert counts_text(keystones()) == (
        "name    sections  options  required  mutable  deprecated  old names  secret  plain  "
        "unchecked\n"
        "21.0.1        33      209         0        0          11         10       2     86  "
        "        0\n"
        "30.0.0        33      217         0        0           5          4       3     90  "
        "        0\n"
    )


def test_csv_reads_back() -> None:
    """The file has a head, and every figure in its column, whatever a release is called."""
    counts = [keystones()[0]._replace(name='a, "b"'), keystones()[1]]
    rows = list(csv.DictReader(io.StringIO(counts_csv(counts))))
    assert [row["name"] for row in rows] == ['a, "b"', "30.0.0"]
    assert [int(row["options"]) for row in rows] == [209, 217]


def test_the_drawing_is_well_formed() -> None:
    """Each figure has a panel with a point a release; names of releases are escaped."""
    for counts in (keystones(), keystones()[:1], [keystones()[0]._replace(name="<a>\x00&")] * 3):
        root = ET.fromstring(counts_svg(counts))  # noqa: S314 - our own text
        circles = root.findall(".//{http://www.w3.org/2000/svg}circle")
        assert len(circles) == 7 * len(counts)
    drawn = counts_svg(keystones())
    assert "<title>21.0.1: 209</title>" in drawn
    assert "<title>30.0.0: 217</title>" in drawn
