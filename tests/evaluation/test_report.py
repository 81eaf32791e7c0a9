from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from ssd_edge.core.detections import Detections
from ssd_edge.core.errors import InputError
from ssd_edge.core.images import write_image
from ssd_edge.core.sample import LabelledSet, Sample
from ssd_edge.evaluation.evaluate import EvaluatedModel, Evaluation
from ssd_edge.evaluation.example_images import MISSED, RIGHT, WRONG
from ssd_edge.evaluation.mean_ap import ClassAp, MeanAp, mean_average_precision
from ssd_edge.evaluation.report import write_evaluation_report, write_report
from ssd_edge.evaluation.report_content import Report, StageLatency, StepTime, VideoSummary
from ssd_edge.evaluation.sections import precision_recall_panel
from ssd_edge.reporting.images import CaptionedImage
from ssd_edge.reporting.page import embedded_image, table
from ssd_edge.workflows.evaluate import labels_of

NAMES = ("stop", "give <way>", "never")
VOID = {"meta", "img", "br", "path", "polyline"}


class Page(HTMLParser):
    """Collects tags and text, and fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data
        if "style" not in self.open:
            self.text += data


def accuracy(share: float) -> MeanAp:
    """Evaluate ten images of two objects each, of which the first is found in ``share`` of them."""
    boxes = np.array([[0, 0, 9, 9], [20, 0, 30, 9]], np.float32)
    sample = Sample(Path("a.png"), boxes, np.array([0, 1]), np.zeros(2, bool), np.array([81.0, 90.0]))
    hit = Detections(sample.boxes[:1], np.array([0.9], np.float32), np.array([0]))
    found = [hit if number < share * 10 else Detections.empty() for number in range(10)]
    return mean_average_precision(found, [sample] * 10, NAMES)


def judged(folder: Path, label: str, share: float) -> EvaluatedModel:
    path = folder / f"{label}.bin"
    path.write_bytes(bytes(1_500_000))
    found = tuple(Detections.empty() for _ in range(10))
    return EvaluatedModel(label, path, Evaluation(accuracy(share), found, np.linspace(4, 6, 10), ()))


@pytest.fixture
def report(tmp_path) -> Report:
    film = tmp_path / "videos" / "signs & more.webm"
    film.parent.mkdir()
    film.write_bytes(b"film")
    return Report(
        title="Signs <found>",
        subtitle="a & b",
        models=(judged(tmp_path, "checkpoint", 1.0), judged(tmp_path, "engine", 0.8)),
        footer="a CPU",
        video=VideoSummary(
            annotated=film.with_suffix(".mp4"),
            preview=film,
            poster=np.zeros((9, 16, 3), np.uint8),
            lines=tmp_path / "d.jsonl",
            frames=100,
            fps=57.4,
            stages=(StageLatency("infer", 4, 5.25, 6),),
            accuracy=accuracy(0.5),
            score_threshold=0.3,
        ),
        stills=(CaptionedImage(np.full((20, 30, 3), (10, 200, 30), np.uint8), "still-7", "1 missed"),),
        steps=(StepTime("train", "mAP 0.8", 12.34),),
    )


def written(tmp_path: Path, report: Report) -> Page:
    path = tmp_path / "report.html"
    write_report(path, report)
    return Page(path.read_text(encoding="utf-8"))


def test_page_is_whole_and_needs_nothing_from_outside(tmp_path, report):
    page = written(tmp_path, report)
    assert page.open == []
    sources = [attrs.get(key) for _, attrs in page.tags for key in ("src", "href") if attrs.get(key)]
    assert all(source.startswith("data:image/jpeg;") or (tmp_path / source).suffix for source in sources)
    assert not any(source.startswith("http") for source in sources)
    assert not any(tag == "script" for tag, _ in page.tags)
    assert "$" not in page.text


def test_text_from_outside_is_escaped(tmp_path, report):
    page = written(tmp_path, report)
    assert "Signs <found>" in page.text
    assert "give <way>" in page.text
    assert not any(tag in ("found", "way") for tag, _ in page.tags)


def test_artifacts_stand_side_by_side(tmp_path, report):
    cells = written(tmp_path, report).cells
    assert ["checkpoint", "0.5000", "+0.0000", "0.5000", "5.00", "5.90", "200", "1.5 MB"] in cells
    assert ["engine", "0.4000", "-0.1000", "0.4000", "5.00", "5.90", "200", "1.5 MB"] in cells


def test_classes_show_each_artifact_and_the_film(tmp_path, report):
    cells = written(tmp_path, report).cells
    assert ["class", "objects", "checkpoint", "engine", "film"] in cells
    assert ["stop", "10", "1.000", "0.800", "0.500"] in cells
    assert ["never", "0", "–", "–", "–"] in cells
    assert ["mean", "", "0.500", "0.400", "0.250"] in cells


def test_the_last_artifact_has_a_score_threshold_for_each_class(tmp_path, report):
    page = written(tmp_path, report)
    assert ["stop", "0.450", "1.000", "0.800", "0.889"] in page.cells  # scores of 0.9 only: half-way to 0
    assert ["never", "–", "–", "–", "–"] in page.cells
    assert "is highest: engine." in page.text


def test_film_is_played_from_where_it_lies(tmp_path, report):
    page = written(tmp_path, report)
    videos = [attrs for tag, attrs in page.tags if tag == "video"]
    assert [attrs["src"] for attrs in videos] == ["videos/signs%20%26%20more.webm"]
    assert "videos/signs%20%26%20more.mp4" in [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert videos[0]["poster"].startswith("data:image/jpeg;base64,")
    assert "57 FPS" in page.text
    assert ["infer", "4.00", "5.25", "6.00"] in page.cells


def test_stills_are_inside_the_page(tmp_path, report):
    sources = [attrs["src"] for tag, attrs in written(tmp_path, report).tags if tag == "img"]
    data = base64.b64decode(sources[0].removeprefix("data:image/jpeg;base64,"))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (20, 30, 3)
    assert np.abs(image.astype(int) - (10, 200, 30)).max() < 8


def test_sections_without_content_are_left_out(tmp_path, report):
    bare = Report("t", "s", report.models, "f")
    text = written(tmp_path, bare).text
    for heading in ("The video", "Detections and objects", "Latency of each stage", "How this was made"):
        assert heading not in text
    assert "One model in every form" in text


def test_one_artifact_is_not_compared_with_itself(tmp_path, report):
    cells = written(tmp_path, Report("t", "s", report.models[:1], "f")).cells
    assert ["checkpoint", "0.5000", "0.5000", "5.00", "5.90", "200", "1.5 MB"] in cells


def test_colours_of_the_key_are_those_of_the_stills(tmp_path, report):
    write_report(tmp_path / "report.html", report)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    keys = {name: color for color, name in re.findall(r'style="color:(#\w+)"></i>(\w+)<', text)}
    colors = {"found": RIGHT, "wrong": WRONG, "missed": MISSED}
    assert keys == {name: "#{2:02x}{1:02x}{0:02x}".format(*bgr) for name, bgr in colors.items()}


def test_runs_of_equal_recall_become_two_points():
    precision, recall = np.array([1.0, *[1 / n for n in range(2, 1002)]]), np.full(1001, 0.25)
    long = ClassAp("stop", 0.5, 4, 0, np.ones(1001, np.float32), precision, recall)
    (series,) = precision_recall_panel([("engine", long)]).series
    assert (series.x, series.y) == ((0.25, 0.25), (1.0, 1 / 1001))


def test_notes_stand_below_the_names_of_their_rows():
    text = table(("kind", "number"), [("missed", "3"), ("both", "0")], notes=["no <detection>", ""])
    assert '<th scope="row">missed<small>no &lt;detection&gt;</small></th><td>3</td>' in text
    assert '<th scope="row">both</th><td>0</td>' in text


@pytest.mark.parametrize(
    ("models", "labels"),
    [(("runs/a/best.pt", "engines/a.onnx"), ["best.pt", "a.onnx"]), (("a/best.pt", "b/best.pt"), None)],
)
def test_models_are_called_by_name_where_names_differ(tmp_path, models, labels):
    found = tuple(Detections.empty() for _ in range(2))
    one = np.array([[0, 0, 9, 9]], np.float32)
    write_image(tmp_path / "a.png", np.zeros((9, 9, 3), np.uint8))
    sample = Sample(tmp_path / "a.png", one, np.zeros(1, np.int64), np.zeros(1, bool), np.full(1, 81.0))
    files = [tmp_path / name for name in models]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    evaluation = Evaluation(mean_average_precision(found, [sample] * 2, NAMES), found, np.ones(2), ())
    evaluated = [EvaluatedModel(name, path, evaluation) for name, path in zip(labels_of(files), files, strict=True)]
    write_evaluation_report(tmp_path / "r.html", evaluated, LabelledSet(NAMES, (sample,) * 2, "s"))
    cells = Page((tmp_path / "r.html").read_text(encoding="utf-8")).cells
    assert ["class", "objects", *(labels or map(str, files))] in cells


def test_picture_that_is_no_picture_is_named():
    with pytest.raises(InputError, match=r"still-3 cannot be written as JPEG: got shape \(0, 0, 3\)"):
        embedded_image(np.zeros((0, 0, 3), np.uint8), "still-3")
