"""The VAST tag gets the decision a JSON request would get, and always XML."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema

from adserver.edge.vast_version import LAYOUTS
from adserver.journal.reader import JournalReader
from adserver.runtime.entropy import SystemEntropy
from tests.edge.vast_order import faults
from tests.serve.small import PLACEMENT, VIEWERS, fill, running, settings_of

XSD = Path(__file__).parents[3] / "shared/reference/vast/vast_4.2.xsd"
QUERIES = [
    f"placement={PLACEMENT}",
    f"placement={PLACEMENT}&viewer=likes-north",
    f"placement={PLACEMENT}&viewer=likes-nothing",
    f"placement={PLACEMENT}&viewer=[IFA]&w=[PLAYERWIDTH]&h=-1&rid=[CACHEBUSTING]",
    f"placement={PLACEMENT}&viewer=likes-north&gdpr_consent=[GDPRCONSENT]",
    f"placement={PLACEMENT}&w=1280&h=720&mimes=video/mp4",
    f"placement={PLACEMENT}&mimes=video/webm",
    f"placement={PLACEMENT}&version=9.9",
    "placement=elsewhere",
    "placement=%FF%00",
    "",
    "&&=&%",
]


def ask(api, query, **parts):
    answer = api.get(f"/v1/vast?{query}", **parts)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content.startswith(b"<?xml")
    ET.fromstring(answer.content)  # noqa: S314  (our own)
    return answer.text


def ad_of(document):
    found = re.search(r'<Creative id="([^"]+)"', document)
    return found and found[1]


@pytest.mark.skipif(not XSD.exists(), reason="the VAST 4.2 schema is not beside the repository")
def test_every_answer_is_valid_by_the_schema(api):
    schema = xmlschema.XMLSchema(XSD)
    for query in QUERIES:
        schema.validate(ask(api, query))


@pytest.mark.parametrize("version", LAYOUTS)
def test_every_version_is_answered_on_every_path(api, version):
    for query in QUERIES:
        document = ask(api, f"version={version}&{query}")
        assert f'<VAST version="{version}"' in document
        assert faults(document) == []
    other = api.request("POST", f"/v1/vast?version={version}")
    assert (other.status_code, faults(other.text)) == (200, [])
    assert f'<VAST version="{version}"' in other.text


@pytest.mark.parametrize("viewer", [*VIEWERS, "never-met"])
def test_it_is_the_decision_of_a_json_request(api, viewer):
    document = ask(api, f"placement={PLACEMENT}&viewer={viewer}")
    assert ad_of(document) == api.decide(viewer).get("variant")


def test_signals_of_privacy_make_a_stranger(api):
    stranger = ad_of(ask(api, f"placement={PLACEMENT}"))
    assert ad_of(ask(api, f"placement={PLACEMENT}&viewer=likes-north")) != stranger
    for signal in ("gdpr=1", "gdpr_consent=CPx", "gpp=DBA", "us_privacy=1YYN", "coppa=1"):
        query = f"placement={PLACEMENT}&viewer=likes-north&{signal}"
        assert ad_of(ask(api, query)) == stranger
    query = f"placement={PLACEMENT}&viewer=likes-north"
    assert ad_of(ask(api, query, headers={"sec-gpc": "1"})) == stranger


def test_files_the_player_cannot_play_stay_away_but_masters_do_not(api):
    document = ask(api, f"placement={PLACEMENT}&w=640&h=360&mimes=video/mp4")
    assert document.count("<MediaFile ") == 1
    assert document.count("<Mezzanine ") == 1


def test_the_same_request_id_gets_the_same_answer(api):
    query = f"placement={PLACEMENT}&viewer=likes-east&rid=r-1"
    assert ask(api, query) == ask(api, query)
    other = ask(api, f"placement={PLACEMENT}&viewer=likes-north&rid=r-1")
    assert ad_of(other) is None


def test_a_page_of_another_origin_may_read_it(api):
    answer = api.get(f"/v1/vast?placement={PLACEMENT}", headers={"origin": "https://s.example"})
    assert answer.headers["access-control-allow-origin"] == "https://s.example"
    assert api.request("OPTIONS", "/v1/vast").status_code == 204


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_another_method_is_no_ad_and_no_decision(api, method):
    answer = api.request(method, f"/v1/vast?placement={PLACEMENT}")
    assert (answer.status_code, ad_of(answer.text)) == (200, None)


def test_a_server_that_fails_says_no_ad(data):
    settings = settings_of(data)
    fill(settings)
    entropy = Exhausted()
    with running(settings, entropy=entropy) as api:
        assert ad_of(ask(api, f"placement={PLACEMENT}")) is not None
        entropy.broken = True
        assert ad_of(ask(api, f"placement={PLACEMENT}")) is None
        assert "adserver_requests_failed_total 1.0" in api.get("/metrics").text


class Exhausted(SystemEntropy):
    """Gives out on demand, as nothing is known to do."""

    broken = False

    def take(self, count):
        """Return bytes, or fail as nobody foresaw."""
        if self.broken:
            raise RuntimeError("no bytes left")
        return super().take(count)


def test_a_vast_decision_is_journaled_and_its_pixels_are_its_own(data):
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        document = ask(api, f"placement={PLACEMENT}&viewer=likes-east")
        (impression,) = re.findall(r"<Impression><!\[CDATA\[(.*?)\]\]>", document)
        assert api.get(impression).status_code == 204
        (error,) = re.findall(r"<Error><!\[CDATA\[(.*?)\]\]>", document + "\n")
        assert api.get(error).status_code == 204
        empty = ask(api, "placement=elsewhere")
        (error,) = re.findall(r"<Error><!\[CDATA\[(.*?)\]\]>", empty)
        assert api.get(error).status_code == 204
    rows = list(JournalReader(data / "journal").rows())
    assert [type(row).__name__ for row in rows].count("DecisionRow") == 2
    (serving_id,) = re.findall(r"<AdServingId>(.*?)</AdServingId>", document)
    assert serving_id.replace("-", "") == rows[0].decision_id.hex()
